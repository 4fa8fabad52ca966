"""The device's end of the link against golden's, byte by byte, on Verilator."""

from __future__ import annotations

import dataclasses

import pytest

from golden.config import DeviceConfig
from golden.link import Buffers
from hdl.link import Link
from sim.bench.designs import AllPorts
from sim.bench.run import run

TINY = DeviceConfig(inputs=3, groups=2, group_size=2, actions=2, lanes=3)


@pytest.mark.parametrize(
    "buffers",
    [Buffers(slots=4, slot_bytes=64), pytest.param(Buffers(slots=8, slot_bytes=256), marks=pytest.mark.slow)],
    ids=str,
)
def test_bytes_on_the_line_are_golden_s(buffers: Buffers) -> None:
    run(
        AllPorts(Link(buffers)),
        "sim.bench.link",
        config=TINY,
        buffers=dataclasses.asdict(buffers),
        frames=6 if buffers.slots == 4 else 40,
        seed=1,
    )
