"""The compact core's only loop in hardware: a row of weights enters the potentials."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.compact.instructions import ROW_CYCLES, WORD_BITS


class RowAdder(wiring.Component):
    """``potentials[first + k] += value * store[address + k]`` for every k below ``size``.

    Golden twin: :func:`golden.kernels.add_event`. Values and weights are signed and have 16 bits, the product's sum is
    modulo 2**32.

    A column in every cycle. From ``start``, in whose cycle the arguments are taken, to ``done`` there are
    :attr:`latency` cycles beside one per column.

    Parameters
    ----------
    store_words, neurons: sizes of the memories.

    Members
    -------
    start, done: In, Out; one cycle each.
    address, value, first, size: In; ``size`` > 0; first and size are to stay as they are until ``done``.
    fetch, fetch_address: Out; a word of the store is wanted, which comes as ``weight`` a cycle later.
    read_address: Out; a potential is wanted, which comes as ``potential`` a cycle later.
    write, write_address, sum: Out; a potential is written.
    """

    latency = ROW_CYCLES - 1
    """Of the instruction, one cycle passes before the start."""

    def __init__(self, store_words: int, neurons: int) -> None:
        super().__init__(
            {
                "start": In(1),
                "done": Out(1),
                "address": In(range(store_words)),
                "value": In(WORD_BITS // 2),
                "first": In(range(neurons)),
                "size": In(range(neurons + 1)),
                "fetch": Out(1),
                "fetch_address": Out(range(store_words)),
                "weight": In(WORD_BITS // 2),
                "read_address": Out(range(neurons)),
                "potential": In(WORD_BITS),
                "write": Out(1),
                "write_address": Out(range(neurons)),
                "sum": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        value = Signal(WORD_BITS // 2)
        product = Signal(WORD_BITS)
        left = Signal.like(self.size)
        # A column passes three steps: its weight is fetched, then multiplied while its potential is read, then added.
        multiplies, adds, final = Signal(), Signal(), Signal(2)
        m.d.comb += [
            self.fetch.eq(left != 0),
            self.write.eq(adds),
            self.sum.eq(self.potential + product),
            self.done.eq(adds & final[1]),
        ]
        m.d.sync += [
            multiplies.eq(self.fetch),
            adds.eq(multiplies),
            final.eq((left == 1) | (final << 1)),
            product.eq(value.as_signed() * self.weight.as_signed()),
            self.write_address.eq(self.read_address),
        ]
        with m.If(self.fetch):
            m.d.sync += [left.eq(left - 1), self.fetch_address.eq(self.fetch_address + 1)]
        with m.If(multiplies):
            m.d.sync += self.read_address.eq(self.read_address + 1)
        with m.If(self.start):
            m.d.sync += [
                value.eq(self.value),
                left.eq(self.size),
                self.fetch_address.eq(self.address),
                self.read_address.eq(self.first),
            ]
        return m
