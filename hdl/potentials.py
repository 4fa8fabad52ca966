"""Where potentials lie: sums go in, a scan takes beats of them as they were (docs/architecture.md, "Memory")."""

from __future__ import annotations

from amaranth import Array, C, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import word_index


class Potentials(wiring.Component):
    """The newest potentials of all neurons, and those that a scan takes, beat by beat.

    Everything is in registers. Products enter the newest sums, a row word in a cycle. ``opens`` copies all sums as they
    are at the end of the cycle; from the next cycle on the first beat is offered. Every beat that is taken moves the
    others up by its neurons, so nothing looks for a beat, and no wire is long.

    A reset leaves the content as it is.

    Parameters
    ----------
    config: sizes and formats.
    product_bits: of a product.
    lanes: neurons per beat.

    Members
    -------
    clears: In; all sums are 0 from the next cycle on, whatever enters.
    enters, word, products: In; the products enter the sums of this word.
    opens, from_action: In; copy, the action group being the first, or all.
    takes, is_short: In; the beat is taken, the last of a hidden group, which it need not fill.
    beat: Out; the potentials of a beat; lanes without a neuron hold anything.
    """

    def __init__(self, config: DeviceConfig, *, product_bits: int, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        super().__init__(
            {
                "clears": In(1),
                "enters": In(1),
                "word": In(word_index(config)),
                "products": In(signed(product_bits)).array(config.lanes),
                "opens": In(1),
                "from_action": In(1),
                "takes": In(1),
                "is_short": In(1),
                "beat": Out(data.ArrayLayout(signed(config.potential_bits), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        potential = signed(config.potential_bits)
        newest, shown = (
            [Signal(potential, name=f"{name}{neuron}", reset_less=True) for neuron in range(config.neurons)]
            for name in ("newest", "shown")
        )
        totals = [Signal(potential, name=f"total{lane}") for lane in range(config.lanes)]
        enters = [self.enters & (self.word == word) for word in range(config.row_words)]
        if config.row_words == 1:
            enters = [self.enters]
        for lane, (total, product) in enumerate(zip(totals, self.products, strict=True)):
            # The sums of this lane in all words; a number without a neuron finds the last.
            sums = newest[lane :: config.lanes] or [C(0, potential)]
            now: Value = sums[0] if len(sums) == 1 else Array(sums)[self.word]
            m.d.comb += total.eq(now + product)
        copies: list[Value] = []
        for neuron, sum_ in enumerate(newest):
            word, lane = divmod(neuron, config.lanes)
            with m.If(self.clears):
                m.d.sync += sum_.eq(0)
            with m.Elif(enters[word]):
                m.d.sync += sum_.eq(totals[lane])
            copies.append(Mux(enters[word], totals[lane], sum_))
        last = config.group_size % lanes or lanes
        for place, potential_ in enumerate(shown):
            copy = copies[place]
            if place < config.actions:
                copy = Mux(self.from_action, copies[config.hidden + place], copy)
            next_one, next_short = (
                shown[place + step] if place + step < config.neurons else potential_ for step in (lanes, last)
            )
            with m.If(self.opens):
                m.d.sync += potential_.eq(copy)
            with m.Elif(self.takes):
                m.d.sync += potential_.eq(next_one if last == lanes else Mux(self.is_short, next_short, next_one))
        for lane in range(lanes):
            m.d.comb += self.beat[lane].eq(shown[lane] if lane < config.neurons else 0)
        return m
