"""Bench of :class:`hdl.observations.ObservationQueue`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from hdl.observations import ObservationQueue
from sim.bench.designs import AllPorts
from sim.bench.recorded import golden_start
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = AllPorts(ObservationQueue(CONFIG))


class Model:
    """Drives one queue; golden goes through the same observations."""

    def __init__(self, dut: Any, put: Flow | None = None, entries: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.put = self.bench.source("put", put)
        self.entries = self.bench.sink("entries", entries)
        self._expected: list[dict[str, Any]] = []

    async def _pulse(self, name: str) -> int:
        """One cycle of ``clear`` or ``rewind``; gives its number."""
        pin = getattr(self.bench.dut, name)
        pin.value = 1
        await self.bench.step()
        pin.value = 0
        return self.bench.cycle - 1

    async def start(self) -> None:
        """Reset, nothing asked for."""
        self.bench.dut.clear.value = self.bench.dut.rewind.value = 0
        await self.bench.reset()

    async def fill(self, share: float) -> None:
        """Clear, then put in some observations; those are zero that golden makes no events of."""
        rng, low, high = self.bench.rng, CONFIG.obs.low, CONFIG.obs.high
        obs = np.zeros(CONFIG.inputs, dtype=np.int64)
        for i in range(CONFIG.inputs):
            if rng.random() < share:
                obs[i] = rng.choice((low, high, -1, 1, rng.randint(low, high)))
        events, _ = golden_start(CONFIG, obs)
        shift = CONFIG.drive_frac - CONFIG.obs_frac
        values = [{"index": source - CONFIG.neurons, "value": value >> shift} for source, value in events]
        self._expected = [
            {"entry": entry, "last": int(number == len(values))} for number, entry in enumerate(values, 1)
        ]
        await self._pulse("clear")
        self.put.send(*values)
        await self.bench.until(lambda: not self.put.pending)
        assert self.bench.dut.count.value == len(values)

    async def go_through(self) -> int:
        """Rewind, then everything comes in order, and no more; gives the cycle of the rewind."""
        self.entries.expect(*self._expected)
        cycle = await self._pulse("rewind")
        await self.bench.finish(quiet=5)
        return cycle


SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
"""How many of the observations are not zero."""


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """What was put in comes out any number of times, whatever the flow on either side."""
    for steady_put, steady_entries in ((True, True), (False, True), (True, False), (False, False)):
        flow = Bench(dut, COMPONENT, RUN["seed"]).flow
        model = Model(dut, flow(not steady_put), flow(not steady_entries))
        await model.start()
        for _ in range(RUN["decisions"]):
            await model.fill(model.bench.rng.choice(SHARES))
            for _ in range(model.bench.rng.randint(1, 3)):
                await model.go_through()


@cocotb.test()
async def time(dut: Any) -> None:
    """One in and one out in every cycle, the first out two cycles after the rewind; the rewind at once."""
    model = Model(dut)
    await model.start()
    for share in SHARES:
        await model.fill(share)
        count = len(model._expected)
        taken = model.put.cycles[len(model.put.cycles) - count :]
        assert not count or taken == list(range(taken[0], taken[0] + count))
        cycle = await model.go_through()
        assert not count or cycle == taken[-1] + 1
        out = model.entries.cycles[len(model.entries.cycles) - count :]
        assert out == list(range(cycle + 2, cycle + 2 + count))


@cocotb.test()
async def rewind_in_the_middle(dut: Any) -> None:
    """A rewind at any moment starts from the first observation, whether one waits to be taken or not."""
    for is_ragged in (False, True):
        model = Model(dut, entries=Bench(dut, COMPONENT, RUN["seed"]).flow(is_ragged))
        await model.start()
        await model.fill(1.0)
        for cycles in range(CONFIG.inputs + 4):
            with model.entries.unchecked():
                await model._pulse("rewind")
                await model.bench.step(cycles)
                model.entries.expect(*model._expected)
                await model._pulse("rewind")
            await model.bench.finish(quiet=5)


@cocotb.test()
async def reset_empties_it(dut: Any) -> None:
    """After a reset at any moment nothing is there."""
    model = Model(dut)
    for cycles in range(CONFIG.inputs + 4):
        await model.start()
        await model.fill(1.0)
        with model.entries.unchecked():
            await model._pulse("rewind")
            await model.bench.step(cycles)
        await model.start()
        model._expected = []
        await model.go_through()
        assert dut.count.value == 0
        await model.fill(0.5)
        await model.go_through()
