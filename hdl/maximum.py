"""The largest potential of a group."""

from __future__ import annotations

import math

from amaranth import C, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import potential_beat, winner_bits

LEVELS = 2
"""Comparisons in a row between two registers of the tree over the lanes."""


def maximum_latency(lanes: int) -> int:
    """Cycles from the last beat of a group to its largest potential."""
    return math.ceil((lanes - 1).bit_length() / LEVELS) + 1


class GroupMaximum(wiring.Component):
    """Largest potential of each group and its index, the lowest on ties.

    Golden twins: :func:`golden.kernels.group_potential_winner`, and the maximum in :func:`golden.kernels.exponentials`.
    Every potential of the format is allowed.

    Never waits: the result is out :attr:`latency` cycles after the group's last beat, a beat may come in every cycle.

    Parameters
    ----------
    config: widths.
    lanes: neurons per beat.

    Members
    -------
    beats: In(stream of :func:`hdl.layouts.potential_beat`, always ready).
    maxima: Out(stream of {``potential``, ``index``}, always ready).
    """

    def __init__(self, config: DeviceConfig, *, lanes: int) -> None:
        self.lanes = lanes
        self._value = signed(config.potential_bits)
        self._index = winner_bits(config)
        result = data.StructLayout({"potential": self._value, "index": self._index})
        beats = stream.Signature(potential_beat(config, lanes), always_ready=True)
        super().__init__({"beats": In(beats), "maxima": Out(stream.Signature(result, always_ready=True))})

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a group to its result."""
        return maximum_latency(self.lanes)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = self.beats.payload
        lowest = C(-(1 << (self._value.width - 1)), self._value)

        # The tree: a later entry wins only if it is greater; lanes without a neuron count as lowest and never do.
        values = [Mux(beat.keep[lane], beat.potential[lane], lowest) for lane in range(self.lanes)]
        entries = list(zip(values, (C(lane, self._index) for lane in range(self.lanes)), strict=True))
        valid, last = self.beats.valid, beat.last
        levels = 0
        while len(entries) > 1:
            levels += 1
            register = levels % LEVELS == 0 or len(entries) == 2
            domain = m.d.sync if register else m.d.comb
            winners = []
            for position in range(0, len(entries), 2):
                value = Signal(self._value, name=f"value{levels}_{position}")
                index = Signal(self._index, name=f"index{levels}_{position}")
                (left, left_index), (right, right_index) = (entries[position : position + 2] * 2)[:2]
                greater = Signal(name=f"greater{levels}_{position}")
                m.d.comb += greater.eq(right > left)
                domain += [value.eq(Mux(greater, right, left)), index.eq(Mux(greater, right_index, left_index))]
                winners.append((value, index))
            entries = winners
            if register:
                next_valid, next_last = Signal(name=f"valid{levels}"), Signal(name=f"last{levels}")
                m.d.sync += [next_valid.eq(valid), next_last.eq(last)]
                valid, last = next_valid, next_last

        # The beats so far.
        value, index = entries[0]
        first = Signal(init=1)
        base = Signal(self._index)
        best = Signal(self._value)
        best_index = Signal(self._index)
        done = Signal()
        m.d.sync += done.eq(valid & last)
        with m.If(valid):
            m.d.sync += [first.eq(last), base.eq(Mux(last, 0, base + self.lanes))]
            with m.If(first | (value > best)):
                m.d.sync += [best.eq(value), best_index.eq(base + index)]
        m.d.comb += [
            self.maxima.valid.eq(done),
            self.maxima.payload.potential.eq(best),
            self.maxima.payload.index.eq(best_index),
        ]
        return m
