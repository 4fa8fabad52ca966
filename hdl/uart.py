"""A serial line, 8N1: a start bit, eight data bits, the lowest first, a stop bit; the line rests high."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from golden.errors import SvpgError

CYCLES_PER_BIT = 4
"""Fewest clock cycles of a bit."""

RATE_ERROR = 1e-3
"""Most by which a rate may differ from what was asked for."""

FRAME_BITS = 10
"""Bits on the line for a byte."""


@dataclass(frozen=True)
class Rate:
    """A rate as an accumulator makes it, which need not be a whole number of cycles per bit.

    Parameters
    ----------
    step: is added in every cycle; a bit ends when the sum overflows.
    bits: of the accumulator.
    """

    step: int
    bits: int

    @classmethod
    def nearest(cls, clock_hz: int, baud: int) -> Rate:
        """The one of fewest bits within :data:`RATE_ERROR`.

        Raises
        ------
        SvpgError: the clock is too slow for it.
        """
        if not 1 <= baud <= clock_hz // CYCLES_PER_BIT:
            raise SvpgError(
                f"a baud rate of {baud} is not possible at {clock_hz / 1e6:g} MHz; "
                f"give 1 to {clock_hz // CYCLES_PER_BIT}"
            )
        for bits in itertools.count(3):
            step = round((baud << bits) / clock_hz)
            if abs(step * clock_hz - (baud << bits)) <= RATE_ERROR * (baud << bits):
                break
        return cls(step, bits)


class UartReceiver(wiring.Component):
    """Bytes from a serial line.

    The line is looked at in the middle of every bit, counted from the edge of the start bit, and after two flip-flops.
    A start bit that is high there, and a byte whose stop bit is low, are dropped; after the latter the line has to rest
    first. A byte is handed on in the cycle after the middle of its stop bit; the next may begin half a bit later.

    Parameters
    ----------
    clock_hz: of the component; four cycles per bit at least.
    baud: bits per second.

    Members
    -------
    rx: In; the line.
    bytes: Out(stream of 8 bits, always ready).

    Raises
    ------
    SvpgError: a baud rate that the clock cannot make.
    """

    def __init__(self, clock_hz: int, baud: int) -> None:
        self.rate = Rate.nearest(clock_hz, baud)
        super().__init__({"rx": In(1, init=1), "bytes": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        phase, middle = Signal(self.rate.bits), Signal()
        place, shifted = Signal(range(FRAME_BITS)), Signal(8)
        m.d.sync += [phase.eq(phase + self.rate.step), self.bytes.valid.eq(0)]
        m.d.comb += [
            middle.eq((phase + self.rate.step)[self.rate.bits]),
            self.bytes.payload.eq(shifted),
        ]
        with m.FSM():
            with m.State("REST"):
                m.d.sync += place.eq(0)
                with m.If(~line):
                    m.d.sync += phase.eq(1 << (self.rate.bits - 1))
                    m.next = "BITS"
            with m.State("BITS"), m.If(middle):
                m.d.sync += place.eq(place + 1)
                with m.If(place == FRAME_BITS - 1):
                    m.d.sync += self.bytes.valid.eq(line)
                    m.next = "BREAK"
                with m.Elif((place == 0) & line):
                    m.next = "REST"
                with m.Elif(place != 0):
                    m.d.sync += shifted.eq(Cat(shifted[1:], line))
            with m.State("BREAK"), m.If(line):
                m.next = "REST"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    The start bit begins in the cycle after a byte is taken. Bytes that wait follow each other without a pause: ten bits
    each, on average to the exact rate.

    Parameters
    ----------
    clock_hz: of the component; four cycles per bit at least.
    baud: bits per second.

    Members
    -------
    bytes: In(stream of 8 bits).
    tx: Out; the line.

    Raises
    ------
    SvpgError: a baud rate that the clock cannot make.
    """

    def __init__(self, clock_hz: int, baud: int) -> None:
        self.rate = Rate.nearest(clock_hz, baud)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        phase, ends = Signal(self.rate.bits), Signal()
        # The bits to come, the one on the line first.
        bits, left = Signal(FRAME_BITS - 1, init=-1), Signal(range(FRAME_BITS + 1))
        busy, take = Signal(), Signal()
        m.d.comb += [
            busy.eq(left != 0),
            ends.eq((phase + self.rate.step)[self.rate.bits] & busy),
            self.bytes.ready.eq(~busy | (ends & (left == 1))),
            take.eq(self.bytes.valid & self.bytes.ready),
            self.tx.eq(bits[0]),
        ]
        m.d.sync += phase.eq(Mux(busy, phase + self.rate.step, 0))
        with m.If(take):
            m.d.sync += [bits.eq(Cat(C(0, 1), self.bytes.payload)), left.eq(FRAME_BITS)]
        with m.Elif(ends):
            m.d.sync += [bits.eq(Cat(bits[1:], C(1, 1))), left.eq(left - 1)]
        return m
