"""The values of events as sums of powers of two (docs/numerics.md, "Spikes")."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import event


class DigitSplitter(wiring.Component):
    """An event becomes one for each digit of its value, each a power of two or the negative of one.

    Golden twin: the events of :mod:`golden.spikes`. The digits are those of the non-adjacent form, the lowest first:
    none has a neighbour, so a value of b bits has (b + 1) / 2 at most. Every value that fits an event, and whose
    digits do, is allowed. The last digit asks for the scan; an event of value 0 goes as it is.

    The first digit is offered :attr:`latency` cycle after the event is taken, the others follow without a pause; the
    next event is taken with the last.

    Parameters
    ----------
    config: formats.

    Members
    -------
    whole: In(stream of :func:`hdl.layouts.event`).
    digits: Out(stream of the same).
    idle: Out; no event is in work.
    """

    latency = 1
    """Cycles from an event to its first digit."""

    def __init__(self, config: DeviceConfig) -> None:
        shape = event(config)
        super().__init__({"whole": In(stream.Signature(shape)), "digits": Out(stream.Signature(shape)), "idle": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        busy, job = Signal(), Signal(self.whole.payload.shape())
        lowest, digit, rest = (Signal.like(job.value, name=name) for name in ("lowest", "digit", "rest"))
        ends = Signal()
        m.d.comb += [
            lowest.eq(job.value & -job.value),
            # Above the lowest digit, 01 goes on with a 0, 11 with a carry.
            digit.eq(Mux((job.value & (lowest << 1)).any(), -lowest, lowest)),
            rest.eq(job.value - digit),
            ends.eq(rest == 0),
            self.digits.valid.eq(busy),
            self.idle.eq(~busy),
            self.digits.payload.source.eq(job.source),
            self.digits.payload.value.eq(digit),
            self.digits.payload.scan.eq(Mux(ends, job.scan, 0)),
            self.whole.ready.eq(~busy | (ends & self.digits.ready)),
        ]
        with m.If(self.digits.ready):
            m.d.sync += job.value.eq(rest)
        with m.If(self.whole.ready):
            m.d.sync += [busy.eq(self.whole.valid), job.eq(self.whole.payload)]
        return m
