"""Bench of :class:`hdl.digits.DigitSplitter`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb

from hdl.digits import DigitSplitter
from hdl.layouts import Scan, event_bits
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = DigitSplitter(CONFIG)
LARGEST = 1 << event_bits(CONFIG) - 2
"""Values up to this have digits that fit an event."""


def non_adjacent(value: int) -> list[int]:
    """Digits as docs/numerics.md has them, the lowest first: digit k is (bit k+1 of 3x) - (bit k+1 of x)."""
    x, sign = abs(value), -1 if value < 0 else 1
    digits = [((3 * x >> k + 1 & 1) - (x >> k + 1 & 1)) << k for k in range(x.bit_length() + 1)]
    return [sign * digit for digit in digits if digit]


class Model:
    """Drives one splitter; the document's digits beside it."""

    def __init__(self, dut: Any, whole: Flow | None = None, digits: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.whole, self.digits = self.bench.source("whole", whole), self.bench.sink("digits", digits)

    def send(self, value: int, scan: int) -> int:
        """Queue an event and its digits; gives their number."""
        source = self.bench.rng.randrange(CONFIG.sources)
        found = non_adjacent(value) or [0]
        assert sum(found) == value
        self.whole.send({"source": source, "value": value, "scan": scan})
        for place, digit in enumerate(found, 1):
            self.digits.expect({"source": source, "value": digit, "scan": scan if place == len(found) else 0})
        return len(found)


@cocotb.test()
async def every_value(dut: Any) -> None:
    """All values whose digits fit, with and without a scan."""
    model = Model(dut)
    await model.bench.reset()
    for value in range(-LARGEST, LARGEST + 1):
        model.send(value, value % 4)
    await model.bench.finish()


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Digits and their order, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, own(ragged[0]), own(ragged[1]))
        await model.bench.reset()
        for _ in range(200):
            model.send(model.bench.rng.randint(-LARGEST, LARGEST), model.bench.rng.choice(list(Scan)))
        await model.bench.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """The first digit a cycle later, then one in every cycle; the next event is taken with the last."""
    model = Model(dut)
    await model.bench.reset()
    counts = [model.send(model.bench.rng.randint(-LARGEST, LARGEST), 0) for _ in range(60)]
    await model.bench.finish()
    first = model.digits.cycles[0]
    assert first == model.whole.cycles[0] + COMPONENT.latency
    assert model.digits.cycles == list(range(first, first + sum(counts)))
    starts = itertools.accumulate(counts, initial=first - COMPONENT.latency)
    assert model.whole.cycles == list(starts)[: len(counts)]


@cocotb.test()
async def reset_drops_the_work(dut: Any) -> None:
    """Digits that have not gone when reset comes never do; then it is idle, which it was not before."""
    model = Model(dut)
    for cycles in range(1, 5):
        await model.bench.reset()
        assert dut.idle.value == 1
        model.whole.send({"source": 0, "value": LARGEST // 3 | 1, "scan": 1})
        with model.digits.unchecked():
            await model.bench.step(cycles)
        assert dut.idle.value == 0
        model.whole.forget()
        await model.bench.reset()
        model.send(5, 3)
        await model.bench.finish()
