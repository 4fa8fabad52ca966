"""Flags and escapes of the link (docs/link.md)."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.link import ESCAPE, FLAG, FLIP

SYMBOL = data.StructLayout({"data": 8, "end": 1})
"""A byte of a packet, or its end, at which ``data`` does not count."""


class Unstuffer(wiring.Component):
    """Symbols from the bytes on the line.

    Golden twins: :func:`golden.link.unstuff`, and the flags of :class:`golden.link.Deframer`. Every byte is allowed.

    A symbol is offered in the cycle of the byte that ends it; an escape gives none.

    Members
    -------
    bytes: In(stream of 8 bits, always ready).
    symbols: Out(stream of :data:`SYMBOL`, always ready).
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bytes": In(stream.Signature(8, always_ready=True)),
                "symbols": Out(stream.Signature(SYMBOL, always_ready=True)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, symbol = self.bytes.payload, self.symbols.payload
        escaped, escapes = Signal(), Signal()
        m.d.comb += [
            symbol.end.eq(byte == FLAG),
            escapes.eq((byte == ESCAPE) & ~escaped),
            symbol.data.eq(byte ^ Mux(escaped, FLIP, 0)),
            self.symbols.valid.eq(self.bytes.valid & ~escapes),
        ]
        with m.If(self.bytes.valid):
            m.d.sync += escaped.eq(escapes)
        return m


class Stuffer(wiring.Component):
    """Bytes on the line from symbols.

    Golden twins: :func:`golden.link.stuff`, and the flags of :meth:`golden.link.Packet.encode`. Every symbol is
    allowed.

    The byte is offered in the cycle of the symbol; where it takes an escape that comes first, and the symbol is taken
    with the byte behind it.

    Members
    -------
    symbols: In(stream of :data:`SYMBOL`).
    bytes: Out(stream of 8 bits).
    """

    def __init__(self) -> None:
        super().__init__({"symbols": In(stream.Signature(SYMBOL)), "bytes": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        symbol = self.symbols.payload
        escaped, escapes = Signal(), Signal()
        m.d.comb += [
            escapes.eq(~symbol.end & ((symbol.data == FLAG) | (symbol.data == ESCAPE)) & ~escaped),
            self.bytes.valid.eq(self.symbols.valid),
            self.symbols.ready.eq(self.bytes.ready & ~escapes),
        ]
        with m.If(symbol.end):
            m.d.comb += self.bytes.payload.eq(FLAG)
        with m.Elif(escapes):
            m.d.comb += self.bytes.payload.eq(ESCAPE)
        with m.Else():
            m.d.comb += self.bytes.payload.eq(symbol.data ^ Mux(escaped, FLIP, 0))
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += escaped.eq(escapes)
        return m
