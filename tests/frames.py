"""A small design that speaks frames, for tests of what drives one."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

WORD = data.StructLayout({"data": 16, "last": 1})


class Echo(wiring.Component):
    """Answers every frame with its words, each plus the number of frames before it since the reset.

    Three commands, as the data of a frame's first word, make it misbehave: 0xDEAD never answers, 0xFADE offers a word
    and withdraws it, 0xC4A6 offers a word that changes. 0x2222 is answered twice.
    """

    def __init__(self) -> None:
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=17, depth=8)
        word = Signal(WORD)
        count, first, again, dead, fickle, clock = Signal(16), Signal(init=1), Signal(), Signal(), Signal(2), Signal(4)
        m.d.comb += [
            word.eq(fifo.r_data),
            fifo.w_data.eq(self.commands.payload),
            fifo.w_en.eq(self.commands.valid),
            self.commands.ready.eq(fifo.w_rdy),
            self.responses.payload.data.eq(word.data + count),
            self.responses.payload.last.eq(word.last),
        ]
        m.d.sync += clock.eq(clock + 1)
        with m.If(dead):
            pass
        with m.Elif(fickle[0]):
            m.d.comb += self.responses.valid.eq(clock[0])
        with m.Elif(fickle[1]):
            m.d.comb += [self.responses.valid.eq(1), self.responses.payload.data.eq(clock)]
        with m.Elif(fifo.r_rdy & first & (word.data == 0xDEAD)):
            m.d.sync += dead.eq(1)
        with m.Elif(fifo.r_rdy & first & (word.data == 0xFADE)):
            m.d.sync += fickle.eq(1)
        with m.Elif(fifo.r_rdy & first & (word.data == 0xC4A6)):
            m.d.sync += fickle.eq(2)
        with m.Else():
            m.d.comb += self.responses.valid.eq(fifo.r_rdy)
            with m.If(fifo.r_rdy & self.responses.ready):
                with m.If(first & (word.data == 0x2222) & word.last & ~again):
                    m.d.sync += again.eq(1)
                with m.Else():
                    m.d.comb += fifo.r_en.eq(1)
                    m.d.sync += [again.eq(0), first.eq(word.last)]
                    with m.If(word.last):
                        m.d.sync += count.eq(count + 1)
        return m
