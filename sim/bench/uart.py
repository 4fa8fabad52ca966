"""Bench of :class:`hdl.uart.UartReceiver` and :class:`hdl.uart.UartTransmitter`."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb

from hdl.uart import FRAME_BITS, UartReceiver, UartTransmitter
from sim.bench.designs import AllPorts
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CLOCK, BAUD = RUN["clock_hz"], RUN["baud"]
RECEIVES = RUN["part"] == "receiver"
COMPONENT = AllPorts((UartReceiver if RECEIVES else UartTransmitter)(CLOCK, BAUD))
BIT = CLOCK / BAUD
"""Cycles of a bit, which need not be whole."""

DRIFT = 0.02 if BIT > 12 else 0.005
"""By how much another clock may differ; less where a cycle is a large part of a bit."""

LIMIT = int(3000 * FRAME_BITS * BIT)
"""Cycles after which a bench has hung."""

SYNCHRONISER = 2
"""Flip-flops between the line and what looks at it."""


class Wire:
    """Levels of a line, each for some time."""

    def __init__(self) -> None:
        self._levels: deque[tuple[int, float]] = deque()
        self._left = 0.0
        self.level = 1

    def put(self, level: int, cycles: float) -> None:
        """Queue a level."""
        self._levels.append((level, cycles))

    def frame(self, byte: int, bit: float, stop: int = 1) -> None:
        """Queue a byte."""
        for place in range(FRAME_BITS - 1):
            self.put(byte << 1 >> place & 1, bit)
        self.put(stop, bit)

    @property
    def rests(self) -> bool:
        """Nothing is left."""
        return not self._levels and self._left < 1

    def next(self) -> int:
        """The level in the next cycle; what a cycle leaves of a level, or takes of the next, counts."""
        while self._left < 0.5 and self._levels:
            self.level, cycles = self._levels.popleft()
            self._left += cycles
        if self._left >= 0.5:
            self._left -= 1
        else:
            self.level = 1
        return self.level


class Receiver:
    """Drives the line of a receiver."""

    def __init__(self, dut: Any) -> None:
        self.bench, self.wire = Bench(dut, COMPONENT, RUN["seed"], LIMIT), Wire()
        self.bytes = self.bench.sink("bytes")
        self.began: list[int] = []
        """Cycles in which the line fell after it had rested."""
        self._before = 1
        self.bench.each_cycle(lambda: self._drive(dut))

    def _drive(self, dut: Any) -> None:
        level = self.wire.next()
        if self._before and not level:
            self.began.append(self.bench.cycle)
        self._before = level
        dut.rx.value = level

    async def finish(self) -> None:
        """Until the line rests and everything has come."""
        await self.bench.until(lambda: self.wire.rests)
        await self.bench.finish(quiet=int(2 * FRAME_BITS * BIT))


class Transmitter:
    """Watches the line of a transmitter, without its help: bits from the middle of a start bit on."""

    def __init__(self, dut: Any, flow: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"], LIMIT)
        self.bytes = self.bench.source("bytes", flow)
        self.levels: list[int] = []
        self.bench.each_cycle(sample=lambda cycle: self.levels.append(int(dut.tx.value)))

    def read(self) -> list[int]:
        """The bytes on the line."""
        found, at = [], 0
        while 0 in self.levels[at:]:
            start = at + self.levels[at:].index(0)
            bits = [self.levels[int(start + (place + 0.5) * BIT)] for place in range(FRAME_BITS)]
            assert (bits[0], bits[-1]) == (0, 1), f"a byte that begins in cycle {start} has no stop bit"
            found.append(sum(bit << place for place, bit in enumerate(bits[1:-1])))
            at = int(start + (FRAME_BITS - 0.5) * BIT)
        return found


@cocotb.test(skip=not RECEIVES)
async def every_byte_comes(dut: Any) -> None:
    """All bytes back to back, from hosts whose clocks are right, fast and slow."""
    for rate in (1.0, 1.0 - DRIFT, 1.0 + DRIFT):
        model = Receiver(dut)
        await model.bench.reset()
        for byte in range(256):
            model.wire.frame(byte, rate * BIT)
            model.bytes.expect(byte)
        await model.finish()


@cocotb.test(skip=not RECEIVES)
async def bytes_come_in_time(dut: Any) -> None:
    """A byte is handed on in the cycle after the middle of its stop bit."""
    model = Receiver(dut)
    await model.bench.reset()
    for _ in range(20):
        # A byte without a further falling edge within it.
        model.wire.frame(0xF0, BIT)
        model.wire.put(1, model.bench.rng.uniform(1, 5) * BIT)
        model.bytes.expect(0xF0)
    await model.finish()
    assert len(model.began) == len(model.bytes.cycles)
    middle = (FRAME_BITS - 0.5) * BIT
    for began, came in zip(model.began, model.bytes.cycles, strict=True):
        assert abs(came - began - SYNCHRONISER - middle - 1) <= 1


@cocotb.test(skip=not RECEIVES)
async def what_is_no_byte_is_dropped(dut: Any) -> None:
    """Glitches before the middle of a start bit, and bytes without a stop bit; what follows is right again."""
    model = Receiver(dut)
    await model.bench.reset()
    rng = model.bench.rng
    for _ in range(60):
        fault = rng.choice(("none", "glitch", "break"))
        if fault == "glitch":
            model.wire.put(0, max(1.0, 0.3 * BIT))
            model.wire.put(1, 2 * BIT)
        elif fault == "break":
            model.wire.frame(rng.randrange(256), BIT, stop=0)
            model.wire.put(0, rng.uniform(0, 5) * BIT)
            model.wire.put(1, rng.uniform(1, 3) * BIT)
        byte = rng.randrange(256)
        model.wire.frame(byte, BIT)
        model.bytes.expect(byte)
    await model.finish()


@cocotb.test(skip=RECEIVES)
async def every_byte_goes(dut: Any) -> None:
    """All bytes, back to back and with pauses."""
    for is_ragged in (False, True):
        model = Transmitter(dut, Bench(dut, COMPONENT, RUN["seed"]).flow(is_ragged))
        await model.bench.reset()
        order = list(range(256))
        random.Random(RUN["seed"]).shuffle(order)
        model.bytes.send(*order)
        await model.bench.finish(quiet=int(2 * FRAME_BITS * BIT))
        assert model.read() == order


@cocotb.test(skip=RECEIVES)
async def bytes_go_in_time(dut: Any) -> None:
    """The start bit in the cycle after the byte is taken; ten bits for each, to the exact rate on average."""
    model = Transmitter(dut)
    await model.bench.reset()
    await model.bench.step(7)
    count = 100
    model.bytes.send(*([0x0F] * count))
    await model.bench.finish(quiet=int(2 * FRAME_BITS * BIT))
    assert model.levels.index(0) == model.bytes.cycles[0] + 1
    taken = model.bytes.cycles[-1] - model.bytes.cycles[0]
    assert abs(taken - (count - 1) * FRAME_BITS * BIT) <= 1 + 1e-3 * taken
    assert len(model.read()) == count
