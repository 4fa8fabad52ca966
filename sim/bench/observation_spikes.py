"""Bench of :class:`hdl.observation_spikes.ObservationSpikes`, with the queue that it goes through."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from golden.arguments import obs_range
from golden.kernels import constants
from golden.spikes import observation_spikes
from sim.bench.designs import ObservedQueue
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = ObservedQueue(CONFIG, rounds_per_cycle=RUN["rounds_per_cycle"], pipelined=RUN["pipelined"])
UNIT = 1 << CONFIG.drive_frac - (CONFIG.window.bit_length() - 1)
SHARES = (0.0, 0.2, 0.7, 1.0)
"""How many of the observations are not zero."""


class Model:
    """Drives one component; golden spikes beside it."""

    def __init__(self, dut: Any, events: Flow | None = None) -> None:
        self.dut = dut
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.put, self.events = self.bench.source("put"), self.bench.sink("events", events)
        self.cycles: list[int] = []
        """Of each walk."""

    async def begin(self) -> None:
        """Reset; no pulses."""
        for name in ("clear", "start", "step"):
            getattr(self.dut, name).value = 0
        await self.bench.reset()

    async def pulse(self, name: str) -> None:
        """One cycle of an input; then until the component rests."""
        getattr(self.dut, name).value = 1
        await self.bench.step()
        getattr(self.dut, name).value = 0
        began = self.bench.cycle
        await self.bench.until(lambda: self.dut.busy.value == 0)
        self.cycles.append(self.bench.cycle - began)

    async def decide(self, share: float) -> int:
        """A decision's observations, their window, and every step; gives the number of observations."""
        rng = self.bench.rng
        high = obs_range(CONFIG)[1]
        obs = [rng.choice((1, high, rng.randint(1, high))) if rng.random() < share else 0 for _ in range(CONFIG.inputs)]
        nonce = rng.choice((0, (1 << 64) - 1, rng.getrandbits(64)))
        there = [index for index, value in enumerate(obs) if value]
        steps = CONFIG.window + CONFIG.steps - 1
        raw, key = np.array([obs], dtype=np.int64), np.array([nonce], dtype=np.uint64)
        spikes = observation_spikes(constants(CONFIG), raw, key, steps)[:, 0]
        self.dut.nonce.value = nonce
        await self.pulse("clear")
        self.put.send(*({"index": index, "value": obs[index]} for index in there))
        await self.bench.until(lambda: not self.put.pending)
        counts = spikes[: CONFIG.window].sum(axis=0)
        self.expect({index: int(counts[index]) for index in there})
        await self.pulse("start")
        for step in range(CONFIG.steps - 1):
            change = spikes[CONFIG.window + step] - spikes[step]
            self.expect({index: int(change[index]) for index in there})
            await self.pulse("step")
        await self.bench.finish(quiet=3)
        return len(there)

    def expect(self, counts: dict[int, int]) -> None:
        """Queue the events of so many spikes each."""
        events = {CONFIG.neurons + index: count * UNIT for index, count in counts.items() if count}
        self.events.expect(*({"source": source, "value": value, "scan": 0} for source, value in events.items()))


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Events of whole decisions, whatever the flow."""
    for ragged in (False, True):
        model = Model(dut, Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow(ragged))
        await model.begin()
        for _ in range(RUN["decisions"]):
            await model.decide(model.bench.rng.choice(SHARES))


@cocotb.test()
async def time(dut: Any) -> None:
    """From a pipeline an observation in every cycle, and two more for each walk; none at all cost nothing."""
    model = Model(dut)
    await model.begin()
    await model.decide(0.0)
    assert set(model.cycles) == {0}
    model.cycles.clear()
    count = await model.decide(1.0)
    _, start, *steps = model.cycles
    if RUN["pipelined"]:
        # The walks of the window follow each other; the first waits for its draws.
        assert 0 <= start - (CONFIG.window + 1) * (count + 2) <= 26
        # The last may have an event of its own.
        assert set(steps) <= {count + 1, count + 2}


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """After a reset at any moment, a decision is as ever."""
    for cycles in range(1, 90, 8):
        model = Model(dut)
        await model.begin()
        model.put.send(*({"index": index, "value": 1} for index in range(CONFIG.inputs)))
        while model.put.pending:
            await model.bench.step()
        dut.start.value = 1
        with model.events.unchecked():
            await model.bench.step()
            dut.start.value = 0
            await model.bench.step(cycles)
        model = Model(dut)
        await model.begin()
        await model.decide(0.7)
