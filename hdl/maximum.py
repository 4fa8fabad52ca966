"""The largest potential of a group."""

from __future__ import annotations

import math

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import potential_beat, winner_bits
from hdl.pipeline import delay

STAGE = 4
"""Potentials that are compared, each with each, at once."""


def maximum_latency(lanes: int) -> int:
    """Cycles from the last beat of a group to its largest potential."""
    stages = 1
    while lanes > 1:
        # Compared, then chosen.
        lanes, stages = math.ceil(lanes / STAGE), stages + 2
    return stages


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

        # In a stage every potential is compared with those before it, all at once: a later one wins only if it is
        # greater, and a lane without a neuron, behind all others, never does.
        values, indices = list(beat.potential), [C(lane, self._index) for lane in range(self.lanes)]
        keeps = list(beat.keep)
        valid, last = self.beats.valid, beat.last
        stage = 0
        while len(values) > 1:
            stage += 1
            next_values, next_indices, next_keeps = [], [], []
            compared = [Signal(self._value, name=f"compared{stage}_{i}") for i in range(len(values))]
            compared_indices = [Signal(self._index, name=f"compared_index{stage}_{i}") for i in range(len(values))]
            m.d.sync += [
                *(held.eq(value) for held, value in zip(compared, values, strict=True)),
                *(held.eq(index) for held, index in zip(compared_indices, indices, strict=True)),
            ]
            for first_one in range(0, len(values), STAGE):
                group = range(first_one, min(first_one + STAGE, len(values)))
                beats = {
                    (later, earlier): Signal(name=f"beats{stage}_{later}_{earlier}")
                    for later in group
                    for earlier in range(first_one, later)
                }
                m.d.sync += [
                    wins.eq(keeps[later] & (values[later] > values[earlier]))
                    for (later, earlier), wins in beats.items()
                ]
                value = Signal(self._value, name=f"value{stage}_{first_one}")
                index = Signal(self._index, name=f"index{stage}_{first_one}")
                compared_keep = Signal(name=f"compared_keep{stage}_{first_one}")
                keep = Signal(name=f"keep{stage}_{first_one}")
                m.d.sync += [compared_keep.eq(keeps[first_one]), keep.eq(compared_keep)]
                for one in group:
                    before = [beats[one, earlier] for earlier in range(first_one, one)]
                    behind = [beats[later, one] for later in group if later > one]
                    with m.If(Cat(*before, C(1, 1)).all() & ~Cat(*behind, C(0, 1)).any()):
                        m.d.sync += [value.eq(compared[one]), index.eq(compared_indices[one])]
                next_values.append(value)
                next_indices.append(index)
                next_keeps.append(keep)
            values, indices, keeps = next_values, next_indices, next_keeps
            valids, lasts = (
                [flag, *(Signal(name=f"{name}{stage}_{i}") for i in range(2))]
                for name, flag in (("valid", valid), ("last", last))
            )
            m.d.sync += [*delay(valids), *delay(lasts)]
            valid, last = valids[-1], lasts[-1]

        # The beats so far.
        value, index = values[0], indices[0]
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
