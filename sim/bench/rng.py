"""Bench of :class:`hdl.rng.DrawGenerator`."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import numpy as np

from golden.config import DRAW_BITS
from golden.rng import DRAWS_PER_BLOCK, threefry2x32
from hdl.rng import WORD, DrawGenerator
from sim.bench.run import parameters
from sim.bench.streams import Bench, Sink, Source

KNOWN = [
    # key, counter, result: vectors that the authors of Threefry publish.
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]

RUN = parameters()
COMPONENT = DrawGenerator(rounds_per_cycle=RUN["rounds_per_cycle"])


def halves(words: tuple[int, int]) -> list[int]:
    """The four draws of two words."""
    value = words[0] | words[1] << WORD
    return [value >> DRAW_BITS * i & ((1 << DRAW_BITS) - 1) for i in range(DRAWS_PER_BLOCK)]


def golden(nonce: int, stream: int, block: int) -> list[int]:
    """The four draws by the golden model."""
    key, counter = (nonce & 0xFFFFFFFF, nonce >> WORD), (block, stream)
    word0, word1 = threefry2x32(*(np.uint64(word) for word in (*key, *counter)))
    return halves((int(word0), int(word1)))


def request(source: Source, sink: Sink, rng: random.Random) -> None:
    """Queue one random request and its answer; words of all zeros and all ones are common."""
    nonce, stream, block = (rng.choice((0, -1, rng.getrandbits(bits))) % (1 << bits) for bits in (64, WORD, WORD))
    source.send({"nonce": nonce, "stream": stream, "block": block})
    sink.expect(golden(nonce, stream, block))


@cocotb.test()
async def known_answers(dut: Any) -> None:
    """Published vectors."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("requests"), bench.sink("draws")
    await bench.reset()
    for (key0, key1), (counter0, counter1), words in KNOWN:
        source.send({"nonce": key1 << WORD | key0, "stream": counter1, "block": counter0})
        sink.expect(halves(words))
    await bench.finish()


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Values and order, whatever the flow on either side."""
    for fast_source, fast_sink in ((True, True), (False, True), (True, False), (False, False)):
        bench = Bench(dut, COMPONENT, RUN["seed"])
        source = bench.source("requests", bench.flow(not fast_source))
        sink = bench.sink("draws", bench.flow(not fast_sink))
        await bench.reset()
        for _ in range(RUN["blocks"]):
            request(source, sink, bench.rng)
        await bench.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """Latency from rest, and one block in ``latency`` cycles without a pause."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("requests"), bench.sink("draws")
    await bench.reset()
    await bench.step(7)
    request(source, sink, bench.rng)
    await bench.finish()
    assert sink.cycles[0] - source.cycles[0] == COMPONENT.latency
    for _ in range(20):
        request(source, sink, bench.rng)
    await bench.finish()
    gaps = {later - earlier for earlier, later in zip(sink.cycles[1:], sink.cycles[2:], strict=False)}
    assert gaps == {COMPONENT.latency}, gaps


@cocotb.test()
async def reset_drops_the_work(dut: Any) -> None:
    """A request that is in work when reset comes is never answered."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("requests"), bench.sink("draws")
    await bench.reset()
    source.send({"nonce": 1, "stream": 2, "block": 3})
    await bench.until(lambda: not source.pending)
    await bench.reset()
    await bench.step(2 * COMPONENT.latency)
    request(source, sink, bench.rng)
    await bench.finish()
