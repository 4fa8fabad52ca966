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


class StreamRegister(wiring.Component):
    """A register in the way of a stream, so that no path goes on from what comes to what is handed on.

    A payload is offered :attr:`latency` cycle after it was taken; one may pass in every cycle.

    Parameters
    ----------
    shape: of the payload.

    Members
    -------
    source: In(stream); sink: Out(stream).
    """

    latency = 1
    """Cycles from a payload to the offer of it."""

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"source": In(stream.Signature(shape)), "sink": Out(stream.Signature(shape))})

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
