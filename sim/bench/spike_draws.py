"""Bench of :class:`hdl.spike_draws.SpikeDraws`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from golden.rng import STREAM_SPIKES, STREAM_WINNERS, draws, first_draw
from hdl.spike_draws import SpikeDraws
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = SpikeDraws(CONFIG, rounds_per_cycle=RUN["rounds_per_cycle"], pipelined=RUN["pipelined"])
GROUPS = CONFIG.groups + 1


def golden(nonce: int, clamped: bool, acts: bool) -> list[int]:
    """Draws of a phase."""
    key = np.array([nonce], dtype=np.uint64)
    found = draws(key, int(first_draw(CONFIG.steps, GROUPS)), STREAM_SPIKES)[0]
    steps = range(CONFIG.steps - CONFIG.window, CONFIG.steps) if clamped else range(CONFIG.steps)
    groups = CONFIG.groups if clamped else GROUPS
    drawn = [int(found[int(first_draw(step, GROUPS)) + group]) for step in steps for group in range(groups)]
    return drawn + ([int(draws(key, GROUPS, STREAM_WINNERS)[0, -1])] if acts else [])


class Model:
    """Drives one generator; golden draws beside it."""

    def __init__(self, dut: Any, phases: Flow | None = None, drawn: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.phases, self.drawn = self.bench.source("phases", phases), self.bench.sink("draws", drawn)

    def send(self, clamped: bool, acts: bool) -> int:
        """Queue a phase and its draws; gives their number."""
        nonce = self.bench.rng.choice((0, (1 << 64) - 1, self.bench.rng.getrandbits(64)))
        self.phases.send({"nonce": nonce, "clamped": int(clamped), "acts": int(acts)})
        found = golden(nonce, clamped, acts)
        self.drawn.expect(*found)
        return len(found)


KINDS = ((False, True), (False, False), (True, False))
"""Decisions that draw an action, those that do not and samples, and clamped phases."""


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Draws of phases of all kinds, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, own(ragged[0]), own(ragged[1]))
        await model.bench.reset()
        for _ in range(RUN["phases"]):
            model.send(*model.bench.rng.choice(KINDS))
        await model.bench.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """The first draw after the latency; from a pipeline one in every cycle."""
    model = Model(dut)
    await model.bench.reset()
    for kind in KINDS:
        before = len(model.drawn.cycles)
        count = model.send(*kind)
        await model.bench.finish()
        cycles = model.drawn.cycles[before:]
        assert cycles[0] == model.phases.cycles[-1] + COMPONENT.latency
        if RUN["pipelined"]:
            assert cycles == list(range(cycles[0], cycles[0] + count))


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the draws to come."""
    for cycles in range(1, 80, 7):
        model = Model(dut)
        await model.bench.reset()
        model.send(False, True)
        with model.drawn.unchecked():
            await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        model.send(*KINDS[cycles % len(KINDS)])
        await model.bench.finish()
