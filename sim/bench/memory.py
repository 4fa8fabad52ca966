"""Bench of :class:`hdl.memory.ParameterMemory`, its fetches as streams."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cocotb

from hdl.memory import FETCH_LATENCY, row_address, row_addresses
from sim.bench.designs import MemoryWithFetches
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, Gate, Sink, Source, steady

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = MemoryWithFetches(CONFIG)
PLACES = [(row, word) for row in range(CONFIG.sources + 1) for word in range(CONFIG.row_words)]

Place = tuple[int, int]


class Model:
    """Row words as Python integers; drives one device."""

    stored: dict[Place, list[int]]

    def __init__(self, dut: Any, **flows: Flow) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.loads: Source = self.bench.source("load", flows.get("load"))
        self.reads: Source = self.bench.source("reads", flows.get("reads"))
        self.words: Sink = self.bench.sink("words", flows.get("words"))
        self.fetches: Source = self.bench.source("fetches", flows.get("fetches"))
        self.fetched: Sink = self.bench.sink("fetched")
        self.stored = {}

    def load(self, place: Place) -> None:
        """Queue random weights, often the ends of the format."""
        rng, low, high = self.bench.rng, CONFIG.weight.low, CONFIG.weight.high
        weights = [rng.choice((low, high, rng.randint(low, high))) for _ in range(CONFIG.lanes)]
        self.loads.send({"row": place[0], "word": place[1], "weight": weights})
        self.stored[place] = weights

    def read(self, place: Place) -> None:
        """Queue a read and its word."""
        self.reads.send({"row": place[0], "word": place[1]})
        self.words.expect(self.stored[place])

    def fetch(self, place: Place) -> None:
        """Queue a fetch and its data."""
        address = row_address(CONFIG, *place)
        assert address in row_addresses(CONFIG)
        self.fetches.send(address)
        self.fetched.expect(self.stored[place])

    async def fill(self) -> None:
        """Reset and load every row word."""
        await self.bench.reset()
        for place in PLACES:
            self.load(place)
        await self.bench.finish(0)


@cocotb.test()
async def parameters_start_at_zero(dut: Any) -> None:
    """Every row word, before anything was loaded; must be the first test on the model."""
    model = Model(dut)
    await model.bench.reset()
    for place in PLACES:
        model.stored[place] = [0] * CONFIG.lanes
        model.read(place)
        model.fetch(place)
    await model.bench.finish()


@cocotb.test()
async def one_word_per_cycle(dut: Any) -> None:
    """Loads, reads and fetches, each in every cycle; reads wait for fetches and then go on."""
    model = Model(dut)
    await model.fill()
    places = model.bench.rng.choices(PLACES, k=len(PLACES) + 40)
    loads, reads, words = model.loads.cycles, model.reads.cycles, model.words.cycles
    assert loads == list(range(len(PLACES)))
    for place in places:
        model.read(place)
    await model.bench.finish()
    assert reads == list(range(reads[0], reads[0] + len(places)))
    assert words == [cycle + COMPONENT.memory.latency for cycle in reads]
    for place in places:
        model.fetch(place)
        model.read(place)
    await model.bench.finish()
    fetches = model.fetches.cycles
    assert fetches == list(range(fetches[0], fetches[0] + len(places)))
    assert model.fetched.cycles == [cycle + FETCH_LATENCY for cycle in fetches]
    # The first place was taken at once, and looked up when the last fetch was through.
    last = words[len(places) :]
    assert last == list(range(fetches[-1] + COMPONENT.memory.latency, fetches[-1] + len(places) + 3))


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Reads and fetches of some words while others are loaded, whatever the flow of each."""
    own = Bench(dut, COMPONENT, RUN["seed"]).flow
    for flows in itertools.product((True, False), repeat=4):
        names = ("load", "reads", "words", "fetches")
        model = Model(dut, **{name: own(ragged) for name, ragged in zip(names, flows, strict=True)})
        await model.fill()
        rng = model.bench.rng
        for _ in range(RUN["rounds"]):
            changing = set(rng.sample(PLACES, len(PLACES) // 2))
            still = [place for place in PLACES if place not in changing]
            for _ in range(RUN["transfers"]):
                model.read(rng.choice(still))
                model.fetch(rng.choice(still))
            for place in changing:
                model.load(place)
            await model.bench.finish(5)


def later(cycles: int) -> Iterator[bool]:
    """Offer some cycles late, then at once."""
    return itertools.chain([False] * cycles, steady())


@cocotb.test()
async def reads_and_fetches_see_earlier_loads(dut: Any) -> None:
    """A fetch sees the load in the cycle before it, a read that in its own."""
    place = PLACES[-1]
    for delay in range(4):
        model = Model(dut, reads=later(delay), fetches=later(delay + 1))
        await model.fill()
        model.load(place)
        model.read(place)
        model.fetch(place)
        await model.bench.finish()
        assert model.reads.cycles[0] - model.loads.cycles[-1] == delay
        assert model.fetches.cycles[0] - model.loads.cycles[-1] == delay + 1


@cocotb.test()
async def fetches_among_reads_that_wait(dut: Any) -> None:
    """Words that are not taken lose nothing to fetches, however many reads there are behind them."""
    for reads, fetches in itertools.product(range(1, 6), range(1, 4)):
        gate = Gate(False)
        model = Model(dut, words=gate)
        await model.fill()
        for place in PLACES[:reads]:
            model.read(place)
        for _ in range(3):
            await model.bench.step(2 + reads)
            for place in PLACES[-fetches:]:
                model.fetch(place)
        await model.bench.step(2 + reads)
        assert model.words.pending == reads
        gate.open = True
        await model.bench.finish(9)


@cocotb.test()
async def reset_keeps_what_was_loaded(dut: Any) -> None:
    """A reset drops the reads in work and nothing else, at any moment."""
    model = Model(dut)
    await model.fill()
    for cycles in range(12):
        cut = Model(dut, words=later(cycles % 5), fetches=later(cycles % 3))
        await cut.bench.reset()
        cut.stored = model.stored
        for place in PLACES[:8]:
            cut.read(place)
            cut.fetch(place)
        await cut.bench.step(cycles)
        after = Model(dut)
        await after.bench.reset()
        after.stored = model.stored
        for place in PLACES:
            after.read(place)
        await after.bench.finish()
