"""Bench of :class:`hdl.memory.RowMemory`, its ports as streams."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb

from golden.arguments import section_format
from golden.protocol import SECTION_NAMES, Section
from hdl.memory import WRITE_LATENCY, row_address, row_addresses
from sim.bench.designs import MemoryWithStreams
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, Gate, Sink, Source

RUN = parameters()
CONFIG, SECTION, WORDS = RUN["config"], Section[RUN["section"]], RUN["words"]
COMPONENT = MemoryWithStreams(CONFIG, SECTION, WORDS, RUN["bank_words"])
LATENCY = COMPONENT.memory.latency
FORMAT = section_format(CONFIG, SECTION_NAMES[SECTION])
PLACES = [(row, word) for row in range(CONFIG.sources + 1) for word in range(CONFIG.row_words)]

Place = tuple[int, int]


def together(place: Place) -> list[Place]:
    """The places that are fetched with one."""
    row, word = place
    first = word - word % WORDS
    return [(row, first + i) for i in range(WORDS)]


class Model:
    """Row words as Python integers; drives one device."""

    stored: dict[Place, list[int]]

    def __init__(self, dut: Any, **flows: Flow) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.loads: Source = self.bench.source("load", flows.get("load"))
        self.fetches: Source = self.bench.source("fetches", flows.get("fetches"))
        self.fetched: Sink = self.bench.sink("fetched")
        self.stored = {}

    def load(self, place: Place) -> None:
        """Queue random values, often the ends of the format."""
        rng, low, high = self.bench.rng, FORMAT.low, FORMAT.high
        values = [rng.choice((low, high, rng.randint(low, high))) for _ in range(CONFIG.lanes)]
        self.loads.send({"row": place[0], "word": place[1], "values": values})
        self.stored[place] = values

    def fetch(self, place: Place) -> None:
        """Queue a fetch and its data."""
        address = row_address(CONFIG, *place)
        assert address in row_addresses(CONFIG)
        self.fetches.send(address // WORDS)
        self.fetched.expect([value for one in together(place) for value in self.stored[one]])

    async def fill(self) -> None:
        """Reset and load every row word."""
        await self.bench.reset()
        for place in PLACES:
            self.load(place)
        await self.bench.finish(WRITE_LATENCY - 1)


@cocotb.test()
async def all_values_are_zero_at_first(dut: Any) -> None:
    """Every row word, before anything was loaded; must be the first test on the model."""
    model = Model(dut)
    await model.bench.reset()
    for place in PLACES:
        model.stored[place] = [0] * CONFIG.lanes
    for place in PLACES:
        model.fetch(place)
    await model.bench.finish()


@cocotb.test()
async def one_word_per_cycle(dut: Any) -> None:
    """Writes and fetches, each in every cycle."""
    model = Model(dut)
    await model.fill()
    assert model.loads.cycles == list(range(len(PLACES)))
    for place in model.bench.rng.choices(PLACES, k=len(PLACES) + 40):
        model.fetch(place)
    await model.bench.finish()
    fetches = model.fetches.cycles
    assert fetches == list(range(fetches[0], fetches[0] + len(PLACES) + 40))
    assert model.fetched.cycles == [cycle + LATENCY for cycle in fetches]


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Fetches of some words while others are written, whatever the flow of each."""
    own = Bench(dut, COMPONENT, RUN["seed"]).flow
    for flows in itertools.product((True, False), repeat=2):
        model = Model(dut, **{name: own(ragged) for name, ragged in zip(("load", "fetches"), flows, strict=True)})
        await model.fill()
        rng = model.bench.rng
        for _ in range(RUN["rounds"]):
            changing = set(rng.sample(PLACES, len(PLACES) // (2 * WORDS)))
            still = [place for place in PLACES if changing.isdisjoint(together(place))]
            for _ in range(RUN["transfers"]):
                model.fetch(rng.choice(still))
            for place in changing:
                model.load(place)
            await model.bench.finish(5)


@cocotb.test()
async def fetches_see_the_cycles_before(dut: Any) -> None:
    """A fetch sees the write WRITE_LATENCY cycles before it; its data stays whatever is written, until the next."""
    gate = Gate(False)
    model = Model(dut, fetches=gate)
    await model.fill()
    for place in PLACES:
        gate.open = False
        model.load(place)
        model.fetch(place)
        await model.bench.step(WRITE_LATENCY)
        assert not model.loads.pending
        gate.open = True
        await model.bench.step()
        assert model.fetches.cycles[-1] == model.loads.cycles[-1] + WRITE_LATENCY
        await model.bench.step(LATENCY)
        shown = int(dut.data.value)
        for other in (place, *PLACES):
            model.load(other)
        await model.bench.until(lambda: not model.loads.pending)
        await model.bench.step(3)
        assert int(dut.data.value) == shown
    await model.bench.finish()


@cocotb.test()
async def reset_keeps_the_values(dut: Any) -> None:
    """A reset in the middle of fetches leaves every value as it was."""
    model = Model(dut)
    await model.fill()
    for cycles in range(6):
        cut = Model(dut)
        await cut.bench.reset()
        cut.stored = model.stored
        for place in PLACES[:8]:
            cut.fetch(place)
        with cut.fetched.unchecked():
            await cut.bench.step(cycles)
        after = Model(dut)
        await after.bench.reset()
        after.stored = model.stored
        await after.bench.step(5)
        for place in PLACES:
            after.fetch(place)
        await after.bench.finish()
