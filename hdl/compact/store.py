"""The compact core's large memory: one port, a word of 32 bits in a cycle."""

from __future__ import annotations

from amaranth import C, ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.compact.instructions import WORD_BITS
from hdl.memory import NO_COLLISION

SINGLE_PORT_DEVICE = "iCE40UP5K"
"""As Amaranth's platform names what has such memories."""

BANK_WORDS = 1 << 14
"""Words of a single-port memory of an iCE40 UP5K; two of them, side by side, make words of 32 bits."""

HALVES = 2
"""Of these in a bank."""

BANKS = 2
"""On the chip."""


class Store(wiring.Component):
    """Reads or writes a word in every cycle in which ``en`` is set.

    A word that is read is there in the cycle after, and only then. Nothing is known of words that have never been
    written; a reset leaves all as they are. On an iCE40 it is made of single-port memories, elsewhere
    of what the tools choose.

    Parameters
    ----------
    words: how many.

    Members
    -------
    en, write: In; write: this cycle writes.
    address: In; data: In, to be written. read: Out, what has been read.
    """

    def __init__(self, words: int) -> None:
        self.words = words
        super().__init__(
            {
                "en": In(1),
                "write": In(1),
                "address": In(range(words)),
                "data": In(WORD_BITS),
                "read": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if getattr(platform, "device", "") == SINGLE_PORT_DEVICE:
            self._single_port(m)
            return m
        m.submodules.memory = memory = Memory(shape=WORD_BITS, depth=self.words, init=[], attrs={NO_COLLISION: 1})
        reader, writer = memory.read_port(domain="comb"), memory.write_port()
        m.d.comb += [
            reader.addr.eq(self.address),
            writer.addr.eq(self.address),
            writer.en.eq(self.en & self.write),
            writer.data.eq(self.data),
        ]
        with m.If(self.en & ~self.write):
            m.d.sync += self.read.eq(reader.data)
        return m

    def _single_port(self, m: Module) -> None:
        """Banks of two memories of 16 bits each."""
        banks = -(-self.words // BANK_WORDS)
        bank_bits = (BANK_WORDS - 1).bit_length()
        high = self.address[bank_bits:]
        shown = Signal(range(BANKS))
        halves = []
        for bank in range(banks):
            wanted = self.en & ((high == bank) if banks > 1 else 1)
            outputs = []
            for half in range(HALVES):
                output = Signal(WORD_BITS // HALVES, name=f"bank{bank}_{half}")
                m.submodules[f"memory{bank}_{half}"] = Instance(
                    "SB_SPRAM256KA",
                    i_ADDRESS=self.address[:bank_bits],
                    i_DATAIN=self.data.word_select(half, WORD_BITS // HALVES),
                    i_MASKWREN=C(0b1111, 4),
                    i_WREN=self.write,
                    i_CHIPSELECT=wanted,
                    i_CLOCK=ClockSignal(),
                    i_STANDBY=0,
                    i_SLEEP=0,
                    i_POWEROFF=C(1, 1),
                    o_DATAOUT=output,
                )
                outputs.append(output)
            halves.append(outputs)
        with m.If(self.en & ~self.write):
            m.d.sync += shown.eq(high)
        for half in range(HALVES):
            word = halves[0][half]
            if banks > 1:
                word = Mux(shown[0], halves[1][half], word)
            m.d.comb += self.read.word_select(half, WORD_BITS // HALVES).eq(word)
