"""Packets of the link against golden, on Verilator."""

from __future__ import annotations

import dataclasses

import pytest

from golden.link import Buffers
from hdl.packets import PacketReceiver, PacketSender
from sim.bench.designs import AllPorts
from sim.bench.run import run

SMALL, LARGE = Buffers(slots=4, slot_bytes=32), Buffers(slots=8, slot_bytes=256)


@pytest.mark.parametrize("part", ["receiver", "sender"])
@pytest.mark.parametrize("buffers", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=str)
def test_packets_come_and_go(part: str, buffers: Buffers) -> None:
    component = AllPorts(PacketReceiver(buffers)) if part == "receiver" else PacketSender()
    run(component, "sim.bench.packets", part=part, buffers=dataclasses.asdict(buffers), seed=1)
