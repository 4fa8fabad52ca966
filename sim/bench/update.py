"""Bench of :class:`hdl.update.Updater` with its memories."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from golden.arguments import OPTIMISERS, Apply, apply_limits, section_format
from golden.device import Device
from golden.protocol import BIAS_NAMES, SECTION_NAMES, UPDATE_ARGUMENTS, Abilities, Section
from golden.server import existing_synapses
from hdl.memory import row_addresses
from hdl.update import HANDOVER
from sim.bench.learning_designs import UpdaterWithMemories
from sim.bench.run import parameters
from sim.bench.streams import Bench

RUN = parameters()
CONFIG = RUN["config"]
ABILITIES = Abilities(frozenset({"published"}), frozenset(RUN["optimisers"]))
COMPONENT = UpdaterWithMemories(CONFIG, ABILITIES, RUN["bank_words"])
WORDS = len(row_addresses(CONFIG))
EXISTS = existing_synapses(CONFIG)


class Model:
    """Memories as golden has them; drives one device."""

    def __init__(self, dut: Any) -> None:
        self.dut, self.golden = dut, Device(CONFIG)
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.starts = self.bench.source("starts")
        names = [SECTION_NAMES[section] for section in ABILITIES.sections]
        self.loads = {name: self.bench.source(f"{name}_load") for name in names}
        self.fetches = {name: self.bench.source(f"{name}_fetches") for name in names}
        self.fetched = {name: self.bench.sink(f"{name}_fetched") for name in names}
        self.done: list[int] = []
        self.bench.each_cycle(sample=lambda cycle: self.done.append(cycle) if dut.done.value == 1 else None)

    async def fill(self, update: Apply) -> None:
        """Random values in all memories, often the ends of their formats, nearly 0, or at an edge of what the update
        tells apart; zero where nothing exists."""
        rng = np.random.default_rng(self.bench.rng.getrandbits(32))
        for section in ABILITIES.sections:
            number_format = section_format(CONFIG, SECTION_NAMES[section])
            low, high, shape = number_format.low, number_format.high, EXISTS.shape
            scale = 2 ** rng.integers(0, number_format.bits, shape)
            values = rng.integers(low, high, shape, endpoint=True) // scale
            values = np.where(rng.random(shape) < 0.1, rng.choice([low, high, 0], shape), values)
            if section == Section.ACC:
                # The least magnitudes that move a weight by their sign, and the greatest that do not.
                half = max(CONFIG.acc_frac - 1 - update.grid, 0)
                edge = 2 ** (half + update.mean_shift) - 2**update.mean_shift // 2
                edges = (edge - rng.integers(0, 2, shape)) * rng.choice([-1, 1], shape)
                values = np.where(rng.random(shape) < 0.3, np.clip(edges, low, high), values)
            values = values * EXISTS
            for row in range(CONFIG.sources + 1):
                for word in range(CONFIG.row_words):
                    self.loads[SECTION_NAMES[section]].send(
                        {"row": row, "word": word, "values": values[row, word].tolist()}
                    )
            flat = values.reshape(CONFIG.sources + 1, -1)[:, : CONFIG.neurons]
            self.golden.load(SECTION_NAMES[section], flat[:-1])
            self.golden.load(BIAS_NAMES[section], flat[-1])
        await self.bench.finish(3)

    def apply(self, arguments: Apply) -> None:
        """Queue an update and do it on golden."""
        values = {name: getattr(arguments, name) for name in UPDATE_ARGUMENTS}
        self.starts.send({"clear": 0, "optimiser": OPTIMISERS[arguments.optimiser], **values})
        self.golden.apply(arguments)

    def clear(self) -> None:
        """Queue clearing and do it on golden."""
        self.starts.send({"clear": 1, "optimiser": 0, **dict.fromkeys(UPDATE_ARGUMENTS, 0)})
        self.golden.clear_learning()

    def random_update(self) -> Apply:
        """Any update of the build, often with arguments at the ends of their ranges."""
        rng, optimiser = self.bench.rng, self.bench.rng.choice(sorted(ABILITIES.optimisers))
        limits = apply_limits(CONFIG, optimiser)
        return Apply(optimiser, **{name: rng.choice((*pair, rng.randint(*pair))) for name, pair in limits.items()})

    async def finish(self, count: int) -> None:
        """Wait until so many transactions are done."""
        await self.bench.until(lambda: len(self.done) >= count)
        await self.bench.step(3)

    async def check(self) -> None:
        """Compare all memories with golden's."""
        for section in ABILITIES.sections:
            name, image = SECTION_NAMES[section], np.zeros((CONFIG.sources + 1, CONFIG.row_words * CONFIG.lanes), int)
            image[:-1, : CONFIG.neurons] = self.golden.read(name).reshape(CONFIG.sources, -1)
            image[-1, : CONFIG.neurons] = self.golden.read(BIAS_NAMES[section])
            for address, values in enumerate(image.reshape(WORDS, -1).tolist()):
                self.fetches[name].send(address)
                self.fetched[name].expect(values)
        await self.bench.finish()


@cocotb.test()
async def updates_equal_golden(dut: Any) -> None:
    """Any update of any memories, each checked alone."""
    model = Model(dut)
    await model.bench.reset()
    for number in range(RUN["updates"]):
        update = model.random_update()
        await model.fill(update)
        model.apply(update)
        await model.finish(number + 1)
        await model.check()


@cocotb.test()
async def cycles_are_as_stated(dut: Any) -> None:
    """An update takes its words and the latency, clearing its words; the next starts in the cycle after."""
    model = Model(dut)
    await model.bench.reset()
    await model.fill(model.random_update())
    latency = COMPONENT.updater.latency
    for _ in range(3):
        model.apply(model.random_update())
        model.clear()
    counted: list[int] = []
    model.bench.each_cycle(
        sample=lambda cycle: counted.append(int(dut.cycles.value)) if cycle - 1 in model.done else None
    )
    await model.finish(6)
    durations = [done - start + 1 for start, done in zip(model.starts.cycles, model.done, strict=True)]
    assert durations == [WORDS + latency, WORDS] * 3
    assert counted == [HANDOVER + duration for duration in durations]
    assert model.starts.cycles[1:] == [done + 1 for done in model.done[:-1]]
    await model.check()


@cocotb.test()
async def a_reset_ends_what_is_at_work(dut: Any) -> None:
    """After a reset at any moment, freshly loaded memories are updated as ever."""
    for cycles in range(1, 3 * COMPONENT.updater.latency, 4):
        model = Model(dut)
        await model.bench.reset()
        model.apply(model.random_update())
        await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        update = model.random_update()
        await model.fill(update)
        model.apply(update)
        await model.finish(1)
        await model.check()
