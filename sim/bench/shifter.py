"""Bench of :class:`hdl.shifter.SpikeShifter`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb

from hdl.shifter import SpikeShifter
from sim.bench.codec import Codec
from sim.bench.groups import activity_beats
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
COMPONENT = SpikeShifter(CONFIG, lanes=LANES)
BEFORE = Codec(COMPONENT.signature.members["before"].shape)
SIZES = [CONFIG.group_size] * CONFIG.groups + [CONFIG.actions]
UNIT = (1 << CONFIG.activity_frac) // CONFIG.window


class Model:
    """Drives one shifter; keeps the spikes of every group as the document says."""

    def __init__(
        self, dut: Any, steps: Flow | None = None, spikes: Flow | None = None, beats: Flow | None = None
    ) -> None:
        self.dut = dut
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.steps, self.spikes = self.bench.source("steps", steps), self.bench.source("spikes", spikes)
        self.beats = self.bench.sink("beats", beats, self._kept)
        # What the mover would hold before each beat that is to come.
        self._before: list[int] = []
        self.fired: list[list[int]] = []
        self.recent: list[list[int]] = []
        self.bench.each_cycle(self._drive)

    @staticmethod
    def _kept(beat: dict[str, Any]) -> dict[str, Any]:
        """A beat; lanes without a neuron hold anything."""
        count = beat["keep"].bit_count()
        return {"keep": beat["keep"], "activity": beat["activity"][:count]}

    def _drive(self) -> None:
        """The traces that the next beat is made from."""
        place = len(self.beats.cycles)
        self.dut.before.value = self._before[place] if place < len(self._before) else 0

    def traces(self, group: int) -> list[int]:
        """Of the neurons of a group; all 0 before its first spike."""
        window = self.recent[group] if self.recent else []
        return [UNIT * window.count(neuron) for neuron in range(SIZES[group])]

    def step(self, *, clamped: bool = False, departs: bool = False, still: bool = False) -> int:
        """Queue a step and what it must do; gives the number of beats."""
        first = not clamped and not self.fired
        flags = {"first": first, "departs": departs, "clamped": clamped, "still": still}
        self.steps.send({name: int(flag) for name, flag in flags.items()})
        groups = range(CONFIG.groups if clamped else CONFIG.groups + 1)
        # Groups have their favourites, so that spikes often repeat.
        spikes = [self.bench.rng.choice((0, self.bench.rng.randrange(SIZES[group]))) for group in groups]
        self.spikes.send(*spikes)
        if not clamped:
            self.fired.append(spikes)
        if still:
            return 0
        count = 0
        for group, spike in enumerate(spikes):
            before = activity_beats(self.traces(group), LANES)
            if not first:
                self.recent[group] = [*self.recent[group][1:], spike]
            elif group == 0:
                self.recent = [[one] * CONFIG.window for one in spikes]
            if first:
                before = activity_beats([0] * SIZES[group], LANES)
            for old, new in zip(before, activity_beats(self.traces(group), LANES), strict=True):
                self._before.append(BEFORE.pack(old["activity"]))
                self.beats.expect(self._kept(new))
                count += 1
        return count

    def decide(self, learned: bool) -> None:
        """Queue a free phase, and of a sample a clamped one."""
        self.fired, self.recent = [], []
        for step in range(CONFIG.steps):
            self.step(still=not learned and step == CONFIG.steps - 1)
        for step in range(CONFIG.window if learned else 0):
            self.step(clamped=True, departs=step == 0)

    async def check_spikes(self) -> None:
        """All spikes of a free phase are there."""
        spikes = list(itertools.chain(*self.fired))
        for address, spike in enumerate(spikes):
            self.dut.peek_address.value = address
            await self.bench.step()
            assert int(self.dut.peek_spike.value) == spike, address


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Traces of decisions and samples, and the spikes of decisions, whatever the flow on any side."""
    for ragged in itertools.product((False, True), repeat=3):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, *map(own, ragged))
        await model.bench.reset()
        for number in range(RUN["decisions"]):
            model.decide(learned=number % 2 == 1)
            await model.bench.finish()
            if number % 2 == 0:
                await model.check_spikes()


@cocotb.test()
async def time(dut: Any) -> None:
    """Beats in the cycles of their spike, one after the other; a step is taken in the cycle after the last."""
    model = Model(dut)
    await model.bench.reset()
    model.fired, model.recent = [], []
    counts = [model.step() for _ in range(CONFIG.steps - 1)]
    model.step(still=True)
    await model.bench.finish()
    start = model.steps.cycles[0]
    assert model.steps.cycles == list(itertools.accumulate((count + 1 for count in counts), initial=start))
    expected = [
        taken + 1 + beat for taken, count in zip(model.steps.cycles, counts, strict=False) for beat in range(count)
    ]
    assert model.beats.cycles == expected
    last = model.steps.cycles[-1]
    assert model.spikes.cycles[-CONFIG.groups - 1 :] == list(range(last + 1, last + CONFIG.groups + 2))


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """After a reset at any moment, a decision is as ever."""
    for cycles in range(1, 60, 6):
        model = Model(dut)
        await model.bench.reset()
        model.decide(learned=True)
        with model.beats.unchecked():
            await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        model.decide(learned=True)
        await model.bench.finish()
