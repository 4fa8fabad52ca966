"""Where potentials lie: sums go in, a scan looks at them as they were (docs/architecture.md, "Memory")."""

from __future__ import annotations

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import word_index

MOST_REGISTER_WORDS = 2
"""Rows of so few words have their potentials in registers: small memories of an FPGA are 16 words deep and would be
nearly empty, a block of them for every four bits and read port."""


def opening_latency(config: DeviceConfig) -> int:
    """Cycles from the end of what is to be shown until it can be looked at (:class:`Potentials`)."""
    return 2 if config.row_words <= MOST_REGISTER_WORDS else 1


class Potentials(wiring.Component):
    """Potentials of all neurons, in row words: the newest sums, and those that scans look at.

    Products enter the newest sums, a word in a cycle. What is looked at stays as it is until ``opens`` is set:
    :attr:`latency` cycles later it is what the sums are at the end of that one.

    Parameters
    ----------
    config: sizes and formats.
    product_bits: of a product.
    is_pair: beats may lie in two words; there is ``following``.

    Members
    -------
    soon, coming: In; the words that products enter after the next cycle, and in the next.
    replaces: In; what lies there then is to be replaced.
    word, enters: In; products: In: they enter this word.
    opens: In; shows: Out; from the next cycle on, what was to be shown can be looked at.
    looks: In; look: In: from the next cycle on, ``columns`` are those of word ``look``, and ``following`` those of the
        one after, or of any if there is none.
    columns: Out; following: Out.
    """

    def __init__(self, config: DeviceConfig, *, product_bits: int, is_pair: bool) -> None:
        self.config, self.is_pair = config, is_pair
        self.latency = opening_latency(config)
        index, columns = word_index(config), data.ArrayLayout(signed(config.potential_bits), config.lanes)
        super().__init__(
            {
                "soon": In(index),
                "coming": In(index),
                "word": In(index),
                "enters": In(1),
                "replaces": In(1),
                "products": In(signed(product_bits)).array(config.lanes),
                "opens": In(1),
                "shows": Out(1),
                "looks": In(1),
                "look": In(index),
                "columns": Out(columns),
                **({"following": Out(columns)} if is_pair else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        following = Signal.like(self.look)
        m.d.comb += following.eq(Mux(self.look == self.config.row_words - 1, 0, self.look + 1))
        looks = [(self.look, self.columns), *([(following, self.following)] if self.is_pair else [])]
        (self._registers if self.config.row_words <= MOST_REGISTER_WORDS else self._banks)(m, looks)
        return m

    def _registers(self, m: Module, looks: list[tuple[Value, data.View]]) -> None:
        """A register for every sum, and one that keeps what is looked at."""
        config = self.config
        # A reset need not clear them: the bias event of the next decision does.
        newest, shown = (
            [
                [
                    Signal(signed(config.potential_bits), name=f"{name}{word}_{lane}", reset_less=True)
                    for lane in range(config.lanes)
                ]
                for word in range(config.row_words)
            ]
            for name in ("newest", "shown")
        )
        # Every sum goes straight into its register, and from there into what is shown, so that nothing but enables and
        # clears has to reach so many places.
        m.d.sync += self.shows.eq(self.opens)
        is_one = config.row_words == 1
        for lane, product in enumerate(self.products):
            now = Array(sums[lane] for sums in newest)[self.word] if config.row_words > 1 else newest[0][lane]
            total = Signal(signed(config.potential_bits), name=f"total{lane}")
            m.d.comb += total.eq(now + product)
            for word in range(config.row_words):
                with m.If(self.enters & (is_one | (self.word == word))):
                    m.d.sync += newest[word][lane].eq(total)
                with m.If(self.replaces & (is_one | (self.coming == word))):
                    m.d.sync += newest[word][lane].eq(0)
                with m.If(self.shows):
                    m.d.sync += shown[word][lane].eq(newest[word][lane])
        for number, (look, columns) in enumerate(looks):
            held = Signal.like(look, name=f"held{number}")
            with m.If(self.looks):
                m.d.sync += held.eq(look)
            for lane in range(config.lanes):
                found = Array(sums[lane] for sums in shown)[held] if config.row_words > 1 else shown[0][lane]
                m.d.comb += columns[lane].eq(found)

    def _banks(self, m: Module, looks: list[tuple[Value, data.View]]) -> None:
        """Two banks for every word: per word, that of the newest sum and that which is looked at.

        Sums go into the other of the latter.
        """
        index = word_index(self.config)
        # An address is a word and, above it, its bank.
        m.submodules.store = store = Memory(
            shape=self.columns.shape(), depth=2 << (len(index) - 1).bit_length(), init=[]
        )
        now, then = store.read_port(domain="comb"), store.write_port()
        old_bank, new_bank = Signal(), Signal()
        newest, shown = Signal(len(index)), Signal(len(index))
        next_newest, next_shown = Signal(len(index)), Signal(len(index))
        m.d.comb += [
            now.addr.eq(Cat(self.coming, old_bank)),
            then.addr.eq(Cat(self.word, new_bank)),
            then.en.eq(self.enters),
            self.shows.eq(self.opens),
            next_newest.eq(newest),
            next_shown.eq(Mux(self.opens, next_newest, shown)),
        ]
        with m.If(self.enters):
            m.d.comb += next_newest.bit_select(self.word, 1).eq(new_bank)
        m.d.sync += [
            newest.eq(next_newest),
            shown.eq(next_shown),
            old_bank.eq(next_newest.bit_select(self.soon, 1)),
            new_bank.eq(~next_shown.bit_select(self.coming, 1)),
        ]
        # A sum is read a cycle before its product is there; that of the word in work is still on its way.
        follows = Signal()
        m.d.comb += follows.eq(self.enters & (self.coming == self.word))
        for lane, product in enumerate(self.products):
            so_far = Signal(signed(self.config.potential_bits), name=f"so_far{lane}", reset_less=True)
            total = Signal(signed(self.config.potential_bits), name=f"total{lane}")
            m.d.comb += [total.eq(so_far + product), then.data[lane].eq(total)]
            m.d.sync += so_far.eq(Mux(follows, total, now.data[lane]))
            with m.If(self.replaces):
                m.d.sync += so_far.eq(0)
        for look, columns in looks:
            port, word, bank = store.read_port(domain="comb"), Signal(index), Signal()
            m.d.comb += [port.addr.eq(Cat(word, bank)), columns.eq(port.data)]
            with m.If(self.looks):
                m.d.sync += [word.eq(look), bank.eq(next_shown.bit_select(look, 1))]
