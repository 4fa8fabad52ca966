"""Bench of :class:`hdl.policy.PolicyMean`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from hdl.policy import PolicyMean
from sim.bench.designs import AllPorts
from sim.bench.groups import beats_of
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
MEAN = PolicyMean(CONFIG, lanes=LANES)
COMPONENT = AllPorts(MEAN)
ONE = 1 << CONFIG.prob_frac


def what_counts(beat: dict[str, Any]) -> dict[str, Any]:
    """Those members that a mean has."""
    return {name: beat[name] for name in ("term", "probability", "keep", "last", "total", "best")}


class Model:
    """Drives one component; the document's mean beside it."""

    def __init__(self, dut: Any, beats: Flow | None = None, means: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.beats = self.bench.source("beats", beats)
        self.means = self.bench.sink("means", means, what_counts)

    def policy(self) -> list[int]:
        """Any probabilities, many of them the same, or 0, or 1."""
        rng = self.bench.rng
        some = [rng.randint(0, ONE) for _ in range(2)]
        return [rng.choice((0, ONE, *some)) for _ in range(CONFIG.actions)]

    async def window(self) -> None:
        """A window of policies, and their mean."""
        window, rng = CONFIG.window, self.bench.rng
        policies = [self.policy() for _ in range(window)]
        if rng.random() < 0.3:
            policies = [policies[0]] * window
        for step, policy in enumerate(policies):
            beats = beats_of(policy, LANES, fill=0)
            for place, beat in enumerate(beats, 1):
                ends = {"first": int(step == 0), "final": int(step == window - 1)}
                self.beats.send({"probability": beat, "last": int(place == len(beats)), **ends})
        half = window >> 1
        mean = [(int(total) + half) // window for total in np.sum(policies, axis=0)]
        kept = [min(LANES, CONFIG.actions - first) for first in range(0, CONFIG.actions, LANES)]
        for place, beat in enumerate(beats_of(mean, LANES, fill=0)):
            self.means.expect(
                {
                    "term": beat,
                    "probability": beat,
                    "keep": (1 << kept[place]) - 1,
                    "last": int(place == len(kept) - 1),
                    "total": sum(mean),
                    "best": mean.index(max(mean)),
                }
            )
        await self.bench.finish(quiet=2)


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Means, their sum and the largest, whatever the flow on either side."""
    for ragged in (False, True):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, own(ragged), own(ragged))
        await model.bench.reset()
        for _ in range(RUN["windows"]):
            await model.window()


@cocotb.test()
async def time(dut: Any) -> None:
    """The first beat after the latency, the others in the next cycles."""
    model = Model(dut)
    await model.bench.reset()
    for _ in range(5):
        first = len(model.means.cycles)
        await model.window()
        came = model.means.cycles[first:]
        assert came == list(range(came[0], came[0] + len(came)))
        assert came[0] == model.beats.cycles[-1] + MEAN.latency


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """After a reset at any moment, a window is as ever."""
    for cycles in range(1, 40, 3):
        model = Model(dut)
        await model.bench.reset()
        beats = beats_of(model.policy(), LANES, fill=0)
        for place, beat in enumerate(beats, 1):
            model.beats.send({"probability": beat, "last": int(place == len(beats)), "first": 1, "final": 1})
        with model.means.unchecked():
            await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        await model.window()
