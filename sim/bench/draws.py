"""Bench of :class:`hdl.draws.DrawStore`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from golden.rng import DRAWS_PER_BLOCK, STREAM_WINNERS, draws
from hdl.draws import DrawStore
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = DrawStore(CONFIG, rounds_per_cycle=RUN["rounds_per_cycle"])


def golden(nonce: int) -> list[int]:
    """The draws of all groups."""
    return draws(np.array([nonce], dtype=np.uint64), CONFIG.groups + 1, STREAM_WINNERS)[0].tolist()


class Model:
    """Hands out nonces, and looks up a random draw in every cycle: whether it is there, and what it is."""

    def __init__(self, dut: Any, nonces: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.nonces = self.bench.source("nonces", nonces)
        self.bench.each_cycle(self._ask, self._check)
        self._draws: list[list[int]] = []
        self._group = 0
        self.seen = 0
        """Draws that were there and right."""

    def send(self, nonce: int) -> None:
        """Queue a nonce."""
        self.nonces.send(nonce)
        self._draws.append(golden(nonce))

    def send_random(self) -> None:
        """Queue any nonce; halves of all zeros and all ones are common."""
        rng = self.bench.rng
        low, high = (rng.choice((0, 0xFFFFFFFF, rng.getrandbits(32))) for _ in range(2))
        self.send(high << 32 | low)

    def _ask(self) -> None:
        self._group = self.bench.rng.randint(0, CONFIG.groups)
        self.bench.dut.group.value = self._group

    def _check(self, cycle: int) -> None:
        taken = [start for start in self.nonces.cycles if start < cycle]
        if not taken:
            return
        there = taken[-1] + (self._group // DRAWS_PER_BLOCK + 1) * COMPONENT.block_latency + 2
        assert self.bench.dut.available.value == int(cycle >= there), (self._group, cycle - taken[-1])
        if cycle >= there:
            expected = self._draws[len(taken) - 1][self._group]
            assert int(self.bench.dut.draw.value) == expected, (self._group, cycle - taken[-1])
            self.seen += 1

    async def finish(self) -> None:
        """Until all nonces are taken and the last one's draws have been looked at."""
        await self.bench.finish(quiet=COMPONENT.blocks * COMPONENT.block_latency + 10 * CONFIG.groups)
        assert self.seen >= 10 * CONFIG.groups


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Draws equal golden's and are there in time; the nonces come at once, or now and then."""
    for is_ragged in (False, True):
        model = Model(dut, Bench(dut, COMPONENT, RUN["seed"]).flow(is_ragged))
        await model.bench.reset()
        for _ in range(RUN["nonces"]):
            model.send_random()
        await model.finish()


@cocotb.test()
async def a_nonce_waits_for_the_draws_of_the_one_before(dut: Any) -> None:
    """Nonces that follow at once are taken when the last draw is there."""
    model = Model(dut)
    await model.bench.reset()
    for _ in range(10):
        model.send_random()
    await model.finish()
    period = COMPONENT.blocks * COMPONENT.block_latency + 2
    assert model.nonces.cycles == list(range(0, 10 * period, period))


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the nonce in work; the next one is taken at once."""
    for cycles in range(1, COMPONENT.blocks * COMPONENT.block_latency + 3):
        model = Model(dut)
        await model.bench.reset()
        model.send_random()
        await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        model.send_random()
        await model.finish()
        assert model.nonces.cycles == [0]
