"""Bench of :class:`hdl.rng.DrawGenerator` and :class:`hdl.rng.DrawPipeline`."""

from __future__ import annotations

import random
from typing import Any

import cocotb
import numpy as np

from golden.config import DRAW_BITS
from golden.rng import DRAWS_PER_BLOCK, threefry2x32
from hdl.rng import WORD, DrawPipeline
from hdl.spike_draws import make_generator
from sim.bench.run import parameters
from sim.bench.streams import Bench, Sink, Source

KNOWN = [
    # key, counter, result: vectors that the authors of Threefry publish.
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]

RUN = parameters()
PIPELINED = RUN["rounds_per_cycle"] == 0
COMPONENT = make_generator(RUN["rounds_per_cycle"], PIPELINED)


def halves(words: tuple[int, int]) -> list[int]:
    """The four draws of two words."""
    value = words[0] | words[1] << WORD
    return [value >> DRAW_BITS * i & ((1 << DRAW_BITS) - 1) for i in range(DRAWS_PER_BLOCK)]


def golden(nonce: int, stream: int, block: int) -> list[int]:
    """The four draws by the golden model."""
    key, counter = (nonce & 0xFFFFFFFF, nonce >> WORD), (block, stream)
    word0, word1 = threefry2x32(*(np.uint64(word) for word in (*key, *counter)))
    return halves((int(word0), int(word1)))


def request(source: Source, sink: Sink, rng: random.Random, nonce: int | None = None) -> None:
    """Queue one random request, of a nonce if told, and its answer; words of all zeros and all ones are common."""
    any_nonce, stream, block = (rng.choice((0, -1, rng.getrandbits(bits))) % (1 << bits) for bits in (64, WORD, WORD))
    nonce = any_nonce if nonce is None else nonce
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
        # A pipeline works on one nonce at a time.
        for _ in range(5):
            nonce = bench.rng.getrandbits(64) if PIPELINED else None
            for _ in range(RUN["blocks"] // 5):
                request(source, sink, bench.rng, nonce)
            if PIPELINED:
                await bench.finish()
        await bench.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """Latency from rest; then one block in ``latency`` cycles without a pause, from a pipeline in every cycle."""
    bench = Bench(dut, COMPONENT, RUN["seed"])
    source, sink = bench.source("requests"), bench.sink("draws")
    await bench.reset()
    await bench.step(7)
    request(source, sink, bench.rng, nonce=5)
    await bench.finish()
    assert sink.cycles[0] - source.cycles[0] == COMPONENT.latency
    for _ in range(20):
        request(source, sink, bench.rng, nonce=5)
    await bench.finish()
    gaps = {later - earlier for earlier, later in zip(sink.cycles[1:], sink.cycles[2:], strict=False)}
    assert gaps == {1 if isinstance(COMPONENT, DrawPipeline) else COMPONENT.latency}, gaps


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
