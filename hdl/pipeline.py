"""Registers in a row, and between streams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from amaranth import Module, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


def delay(stages: Sequence[Any]) -> list[Any]:
    """Statements by which every stage takes over from the one before."""
    return [later.eq(earlier) for earlier, later in itertools.pairwise(stages)]


class _InTheWay(wiring.Component):
    """What a stream passes on its way from ``source`` to ``sink``."""

    latency = 1
    """Cycles from a payload to the offer of it."""

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape))})


class StreamRegister(_InTheWay):
    """A register in the way of a stream, so that no path goes on from what comes to what is handed on.

    A payload is offered :attr:`latency` cycle after it was taken; one may pass in every cycle.

    Parameters
    ----------
    shape: of the payload.

    Members
    -------
    source: In(stream); sink: Out(stream).
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, payload = Signal(), Signal(self.source.payload.shape())
        m.d.comb += [
            self.source.ready.eq(~valid | self.sink.ready),
            self.sink.valid.eq(valid),
            self.sink.payload.eq(payload),
        ]
        with m.If(self.source.ready):
            m.d.sync += [valid.eq(self.source.valid), payload.eq(self.source.payload)]
        return m


class StreamBuffer(_InTheWay):
    """Two registers in the way of a stream, so that no path goes through it, neither of what comes nor of ``ready``.

    A payload is offered :attr:`latency` cycle after it was taken; one may pass in every cycle.

    Parameters
    ----------
    shape: of the payload.

    Members
    -------
    source: In(stream); sink: Out(stream).
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source, sink = self.source, self.sink
        # What waits behind the payload on offer.
        behind, waits = Signal(source.payload.shape()), Signal()
        offer, offers = Signal(source.payload.shape()), Signal()
        m.d.comb += [source.ready.eq(~waits), sink.valid.eq(offers), sink.payload.eq(offer)]
        with m.If(sink.ready | ~offers):
            m.d.sync += [offers.eq(waits | source.valid), waits.eq(0)]
            with m.If(waits):
                m.d.sync += offer.eq(behind)
            with m.Else():
                m.d.sync += offer.eq(source.payload)
        with m.Elif(source.valid & ~waits):
            m.d.sync += waits.eq(1)
        # Whether it is wanted is known later than what it is.
        with m.If(~waits):
            m.d.sync += behind.eq(source.payload)
        return m
