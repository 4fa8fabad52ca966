"""Words in the payloads of the link against golden, on Verilator."""

from __future__ import annotations

import dataclasses

import pytest

from golden.link import Buffers
from hdl.chunks import ChunkReader, ChunkWriter, SlotReader
from sim.bench.run import run

PARTS = {"reader": lambda buffers: ChunkReader(), "writer": ChunkWriter, "slots": SlotReader}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "buffers",
    [Buffers(slots=4, slot_bytes=32), pytest.param(Buffers(slots=16, slot_bytes=256), marks=pytest.mark.slow)],
    ids=str,
)
def test_words_and_payloads(part: str, buffers: Buffers) -> None:
    run(PARTS[part](buffers), "sim.bench.chunks", part=part, buffers=dataclasses.asdict(buffers), seed=1)
