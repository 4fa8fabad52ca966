"""One clock and its streams: drivers, monitors, in-order checkers.

Everything moves in lock step. In each cycle inputs change at the falling edge and outputs are looked at just before the
rising edge, so what is seen is what the flip-flops see, in any simulator. Cycle numbers count rising edges.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from amaranth.lib import wiring
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time

from sim.bench.codec import Codec

STEP = Timer(1, "step")
"""Until what was written has worked."""

Flow = Iterator[bool]
"""Whether a driver offers the next payload, or a monitor is ready, in each cycle."""


def steady() -> Flow:
    """Always."""
    while True:
        yield True


def ragged(rng: random.Random) -> Flow:
    """Phases of 20 to 200 cycles: always (long back-to-back bursts), half the time, seldom."""
    while True:
        share = rng.choice((1.0, 1.0, 0.5, 0.1))
        for _ in range(rng.randrange(20, 200)):
            yield rng.random() < share


class Gate(Iterator[bool]):
    """A flow that a test opens and shuts."""

    def __init__(self, is_open: bool) -> None:
        self.open = is_open

    def __next__(self) -> bool:
        return self.open


class Pin:
    """An input of the design, written when it changes: a write costs more than anything else in a cycle."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.forget()

    def forget(self) -> None:
        """Write the next value in any case: someone else may have written meanwhile."""
        self._value = -1

    def set(self, value: int) -> None:
        """Write a value."""
        if value != self._value:
            self._handle.value = self._value = value


class Source:
    """Drives one input stream. Holds ``valid`` and the payload until the transfer; random payload while idle."""

    def __init__(self, dut: Any, name: str, codec: Codec, flow: Flow, rng: random.Random) -> None:
        self._valid, self._ready = Pin(getattr(dut, f"{name}__valid")), getattr(dut, f"{name}__ready")
        self._payload, self._codec, self._flow, self._rng = Pin(getattr(dut, f"{name}__payload")), codec, flow, rng
        self._waiting: deque[int] = deque()
        self._offered = False
        self.name = name
        self.cycles: list[int] = []
        """Cycle of every transfer."""

    def send(self, *values: Any) -> None:
        """Queue payloads."""
        self._waiting.extend(self._codec.pack(value) for value in values)

    def forget(self) -> None:
        """Drop what has not been taken."""
        self._waiting.clear()
        self._offered = False

    def rest(self) -> None:
        """Offer nothing in this cycle."""
        self._valid.forget()
        self._payload.forget()
        self._valid.set(0)

    @property
    def pending(self) -> int:
        """Payloads that have not been taken."""
        return len(self._waiting)

    def drive(self) -> None:
        """Set the stream's signals for this cycle."""
        self._offered = bool(self._waiting) and (self._offered or next(self._flow))
        self._valid.set(int(self._offered))
        self._payload.set(self._waiting[0] if self._offered else self._rng.getrandbits(self._codec.width))

    def sample(self, cycle: int) -> None:
        """Note a transfer."""
        if self._offered and self._ready.value == 1:
            self._waiting.popleft()
            self._offered = False
            self.cycles.append(cycle)


class Sink:
    """Watches one output stream: order, values, and that an offer stays as it is until it is taken.

    Parameters
    ----------
    view: what of a payload is compared with what is expected; all of it unless told.
    """

    def __init__(
        self, dut: Any, name: str, codec: Codec, flow: Flow, view: Callable[[Any], Any] = lambda value: value
    ) -> None:
        self._valid, self._ready = getattr(dut, f"{name}__valid"), Pin(getattr(dut, f"{name}__ready"))
        self._payload, self._codec, self._flow = getattr(dut, f"{name}__payload"), codec, flow
        self._view = view
        self._expected: deque[Any] = deque()
        self._held: int | None = None
        self._taking = False
        self._checks = True
        self.name = name
        self.unchecked_transfers = 0
        """Payloads taken while anything may come, the last time."""
        self.cycles: list[int] = []
        """Cycle of every transfer."""

    def expect(self, *values: Any) -> None:
        """Queue the payloads that must come next."""
        self._expected.extend(values)

    @contextlib.contextmanager
    def unchecked(self) -> Iterator[None]:
        """For a while anything may come; afterwards the design has to be reset."""
        self._checks = False
        self.unchecked_transfers = 0
        yield
        self._checks = True
        self._held = None

    def rest(self) -> None:
        """Take nothing in this cycle."""
        self._ready.forget()
        self._ready.set(0)

    @property
    def pending(self) -> int:
        """Payloads that have not come."""
        return len(self._expected)

    def drive(self) -> None:
        """Set ``ready`` for this cycle."""
        self._taking = next(self._flow)
        self._ready.set(int(self._taking))

    def sample(self, cycle: int) -> None:
        """Check the stream in this cycle."""
        if not self._checks:
            self.unchecked_transfers += int(self._taking and self._valid.value == 1)
            return
        if self._valid.value != 1:
            assert self._held is None, f"{self.name}: an offer was withdrawn in cycle {cycle}"
            return
        bits = int(self._payload.value)
        assert self._held in (None, bits), f"{self.name}: an offer changed in cycle {cycle}"
        self._held = None if self._taking else bits
        if self._taking:
            number, value = len(self.cycles), self._view(self._codec.unpack(bits))
            assert self._expected, f"{self.name}: unexpected payload {number} in cycle {cycle}: {value}"
            expected = self._expected.popleft()
            assert value == expected, f"{self.name}: payload {number} in cycle {cycle}\n got {value}\nneed {expected}"
            self.cycles.append(cycle)


class Bench:
    """Clock, reset and streams of one design.

    Parameters
    ----------
    dut: the design as cocotb sees it.
    component: the same as a component, for the shapes of its ports.
    seed: of all randomness.
    limit: cycles after which the bench has hung.
    """

    def __init__(self, dut: Any, component: wiring.Component, seed: int | str, limit: int = 200_000) -> None:
        self.dut = dut
        self.rng = random.Random(seed)
        self.cycle = 0
        self._component, self._limit = component, limit
        self._sources: list[Source] = []
        self._sinks: list[Sink] = []
        self._drives: list[Callable[[], None]] = []
        self._samples: list[Callable[[int], None]] = []

    @property
    def _streams(self) -> list[Source | Sink]:
        return [*self._sources, *self._sinks]

    def codec(self, name: str) -> Codec:
        """Payloads of the stream ``name``."""
        return Codec(self._component.signature.members[name].signature.members["payload"].shape)

    def source(self, name: str, flow: Flow | None = None) -> Source:
        """A driver of the input stream ``name``; steady unless told."""
        self._sources.append(Source(self.dut, name, self.codec(name), flow or steady(), self.rng))
        return self._sources[-1]

    def sink(self, name: str, flow: Flow | None = None, view: Callable[[Any], Any] = lambda value: value) -> Sink:
        """A monitor of the output stream ``name``; steady unless told."""
        self._sinks.append(Sink(self.dut, name, self.codec(name), flow or steady(), view))
        return self._sinks[-1]

    def each_cycle(
        self, drive: Callable[[], None] = lambda: None, sample: Callable[[int], None] = lambda cycle: None
    ) -> None:
        """Call ``drive`` where inputs change and ``sample`` with the cycle where outputs are looked at.

        For ports that are no streams. What ``drive`` reads are outputs as they were before this cycle's inputs; those
        of flip-flops are this cycle's already.
        """
        self._drives.append(drive)
        self._samples.append(sample)

    def flow(self, is_ragged: bool) -> Flow:
        """A flow of its own random numbers."""
        return ragged(random.Random(self.rng.getrandbits(32))) if is_ragged else steady()

    async def reset(self) -> None:
        """Two cycles of reset, nothing offered; counts cycles from here."""
        dut = self.dut
        for stream in self._streams:
            stream.rest()
        dut.rst.value = 1
        for _ in range(2):
            dut.clk.value = 0
            await STEP
            dut.clk.value = 1
            await STEP
        dut.rst.value = 0
        self.cycle = 0

    async def step(self, cycles: int = 1) -> None:
        """Advance some cycles."""
        clock, streams = self.dut.clk, self._streams
        for _ in range(cycles):
            assert self.cycle < self._limit, f"time-out after {self.cycle} cycles; {self._state()}"
            clock.value = 0
            for stream in streams:
                stream.drive()
            for drive in self._drives:
                drive()
            await STEP
            try:
                for stream in streams:
                    stream.sample(self.cycle)
                for sample in self._samples:
                    sample(self.cycle)
            except AssertionError as error:
                error.add_note(f"In the waveform that is at {get_sim_time('step')} ps.")
                raise
            clock.value = 1
            await STEP
            self.cycle += 1

    def _state(self) -> str:
        pending = [f"{stream.name}: {stream.pending} to send" for stream in self._sources]
        return ", ".join(pending + [f"{monitor.name}: {monitor.pending} to come" for monitor in self._sinks])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Advance until a condition holds."""
        while not condition():
            await self.step()

    async def finish(self, quiet: int = 50) -> None:
        """Advance until all is sent and has come, and then some cycles in which nothing may come."""
        await self.until(lambda: not any(stream.pending for stream in self._streams))
        await self.step(quiet)
