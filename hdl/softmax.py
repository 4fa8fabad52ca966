"""The softmax of a group, to the base 2 (docs/numerics.md, "Softmax")."""

from __future__ import annotations

import math

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import (
    EXP_FRAC,
    RECIPROCAL_FRAC,
    RECIPROCAL_INDEX_BITS,
    RECIPROCAL_REMAINDER_BITS,
    DeviceConfig,
)
from golden.tables import exp2_table, reciprocal_table
from hdl.layouts import group_beats, potential_beat, softmax_beat, total_bits, winner_bits
from hdl.maximum import GroupMaximum, maximum_latency
from hdl.multiply import product
from hdl.pipeline import StreamBuffer, delay

SUM_LANES = 4
"""More lanes than this are added up before, not within, the sum over the beats."""

SHIFT_BITS = EXP_FRAC.bit_length() + 1
"""Bits of a difference in octaves that leaves something of a term."""

FIFO_STEP = 16
"""Small memories in logic hold multiples of this."""


def softmax_latency(lanes: int) -> int:
    """Cycles from the only beat of a group in to the same out, nothing in the way."""
    beats_in_the_sum = 1 + (lanes > SUM_LANES)
    # Queue of maxima; depth, table, register, term; sum; mantissa, segment, product; queue; operands, product, out,
    # buffer.
    return maximum_latency(lanes) + 1 + 4 + beats_in_the_sum + 3 + 1 + 3 + StreamBuffer.latency


def queue_depth(config: DeviceConfig, lanes: int) -> int:
    """Places of the queues between stages: two of the largest groups and what arrives while a stage works."""
    return math.ceil((2 * group_beats(config, lanes) + 10) / FIFO_STEP) * FIFO_STEP


class Softmax(wiring.Component):
    """Softmax terms, their sum, its reciprocal and the activities of one group after the other.

    Golden twins: :func:`golden.kernels.exponentials`, :func:`golden.kernels.reciprocal`,
    :func:`golden.kernels.normalise`, and :func:`golden.kernels.group_potential_winner` for the index of the largest.
    Groups of 1 neuron up to the configuration's largest; every potential of the format is allowed.

    Three stages, each on a group of its own, queues between: the maximum; the terms and their sum; the activities.
    The first beat of a group of b beats comes out :attr:`latency` + b - 1 cycles after its last beat went in, because
    the first two stages each need all of the group; the others follow without a pause. A beat may go in and come out in
    every cycle, groups following each other without a gap.

    Multipliers: one per lane (term by reciprocal) and one for the reciprocal unless ``in_logic``, all between
    registers.

    Parameters
    ----------
    config: formats and sizes.
    lanes: neurons per beat.
    in_logic: multiply once per group, for the reciprocal, by adders.

    Members
    -------
    beats: In(stream of :func:`hdl.layouts.potential_beat`).
    results: Out(stream of :func:`hdl.layouts.softmax_beat`).
    """

    def __init__(self, config: DeviceConfig, *, lanes: int, in_logic: bool = False) -> None:
        self.config, self.lanes, self.in_logic = config, lanes, in_logic
        self._maximum = GroupMaximum(config, lanes=lanes)
        super().__init__(
            {
                "beats": In(stream.Signature(potential_beat(config, lanes))),
                "results": Out(stream.Signature(softmax_beat(config, lanes))),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the only beat of a group in to the same out, nothing in the way."""
        return softmax_latency(self.lanes)

    def _queue(self, m: Module, name: str, shape: data.StructLayout) -> tuple[SyncFIFO, data.View, data.View]:
        """A queue between stages; its two ends as views."""
        queue = SyncFIFO(width=shape.size, depth=queue_depth(self.config, self.lanes))
        m.submodules[name] = queue
        return queue, data.View(shape, queue.w_data), data.View(shape, queue.r_data)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        largest = data.StructLayout({"reference": signed(config.potential_bits + 1), "best": winner_bits(config)})
        terms = data.StructLayout({"term": data.ArrayLayout(EXP_FRAC + 1, lanes), "keep": lanes, "last": 1})
        # The sum lies between 2**EXP_FRAC and 2**total_bits: that many places for its leading one.
        places = total_bits(config) - EXP_FRAC
        group = data.StructLayout(
            {
                "reciprocal": RECIPROCAL_FRAC + 1,
                "place": range(places),
                "total": total_bits(config),
                "best": winner_bits(config),
            }
        )

        # --- maximum: beats wait for that of their group -----------------------------------------------
        waiting, waiting_in, waiting_out = self._queue(m, "waiting", potential_beat(config, lanes))
        maxima, maxima_in, maxima_out = self._queue(m, "maxima", largest)
        m.submodules.maximum = maximum = self._maximum
        shift = config.potential_frac - config.exp_index_bits
        # -depth = (u - reference) >> shift, which rounds the depth to nearest, halves up.
        rounding = (1 << (shift - 1)) - 1 if shift > 0 else 0
        m.d.comb += [
            self.beats.ready.eq(waiting.w_rdy),
            waiting.w_en.eq(self.beats.valid),
            waiting_in.eq(self.beats.payload),
            maximum.beats.valid.eq(self.beats.valid & waiting.w_rdy),
            maximum.beats.payload.eq(self.beats.payload),
            maxima.w_en.eq(maximum.maxima.valid),
            maxima_in.reference.eq(maximum.maxima.payload.potential - rounding),
            maxima_in.best.eq(maximum.maxima.payload.index),
        ]

        # --- terms -------------------------------------------------------------------------------------
        ready, ready_in, ready_out = self._queue(m, "ready", terms)
        # Stages: depth, table, register of the table, term.
        stages = [Signal(name=f"term_valid{i}") for i in range(4)]
        flow = data.StructLayout({"keep": lanes, "last": 1, "best": winner_bits(config)})
        flows = [Signal(flow, name=f"term_flow{i}") for i in range(4)]
        advance = Signal()
        take = Signal()
        m.d.comb += [
            advance.eq(~stages[-1] | ready.w_rdy),
            take.eq(advance & maxima.r_rdy),
            waiting.r_en.eq(take),
            maxima.r_en.eq(take & waiting_out.last),
        ]
        with m.If(advance):
            m.d.sync += [
                Cat(*stages).eq(Cat(take, *stages[:-1])),
                flows[0].keep.eq(waiting_out.keep),
                flows[0].last.eq(waiting_out.last),
                flows[0].best.eq(maxima_out.best),
                *delay(flows),
            ]
        index_bits = config.exp_index_bits
        m.submodules.exp2 = exp2 = Memory(
            shape=EXP_FRAC + 1, depth=1 << index_bits, init=[int(value) for value in exp2_table(index_bits)]
        )
        term = [Signal(EXP_FRAC + 1, name=f"term{lane}") for lane in range(lanes)]
        for lane in range(lanes):
            height = Signal(signed(config.potential_bits + 2 + max(0, -shift)), name=f"height{lane}")
            difference = waiting_out.potential[lane] - maxima_out.reference
            m.d.comb += height.eq(difference >> shift if shift > 0 else difference << -shift)
            # Octaves below the maximum, none or fewer; then their number, and whether nothing is left of the term.
            whole = Signal(signed(max(len(height) - index_bits, SHIFT_BITS + 1)), name=f"whole{lane}")
            near = Signal(signed(SHIFT_BITS), name=f"near{lane}")
            octaves = [Signal(range(EXP_FRAC + 1), name=f"octaves{lane}_{i}") for i in range(2)]
            far, zero = Signal(name=f"far{lane}"), [Signal(name=f"zero{lane}_{i}") for i in range(2)]
            m.d.comb += whole.eq(height >> index_bits)
            fraction = Signal(index_bits, name=f"fraction{lane}")
            value = Signal(EXP_FRAC + 1, name=f"table{lane}")
            port = exp2.read_port()
            m.d.comb += [port.addr.eq(fraction), port.en.eq(advance)]
            with m.If(advance):
                m.d.sync += [
                    fraction.eq(height),
                    near.eq(whole),
                    far.eq((whole[-1] & ~whole[SHIFT_BITS - 1 :].all()) | ~waiting_out.keep[lane]),
                    octaves[0].eq(-near),
                    zero[0].eq(far | (near == -EXP_FRAC - 1)),
                    *delay(octaves),
                    *delay(zero),
                    value.eq(port.data),
                    term[lane].eq(Mux(zero[-1], 0, value >> octaves[-1])),
                ]
        m.d.comb += [
            ready.w_en.eq(stages[-1]),
            ready_in.term.eq(Cat(*term)),
            ready_in.keep.eq(flows[-1].keep),
            ready_in.last.eq(flows[-1].last),
        ]

        # --- sum and reciprocal: never wait; the queue of groups has a place for every beat of `ready` ----
        groups, groups_in, groups_out = self._queue(m, "groups", group)
        summed = Signal()
        m.d.comb += summed.eq(stages[-1] & ready.w_rdy)
        partial, partial_valid, partial_flow = sum(term), summed, flows[-1]
        if lanes > SUM_LANES:
            register = Signal(total_bits(config), name="lane_sum")
            next_valid, next_flow = Signal(name="lane_sum_valid"), Signal(flow, name="lane_sum_flow")
            m.d.sync += [register.eq(partial), next_valid.eq(partial_valid), next_flow.eq(partial_flow)]
            partial, partial_valid, partial_flow = register, next_valid, next_flow
        first = Signal(init=1)
        valid = [Signal(name=f"group_valid{i}") for i in range(4)]
        total = [Signal(total_bits(config), name=f"total{i}") for i in range(4)]
        best = [Signal(winner_bits(config), name=f"best{i}") for i in range(4)]
        with m.If(partial_valid):
            m.d.sync += [
                total[0].eq(Mux(first, 0, total[0]) + partial),
                best[0].eq(partial_flow.best),
                first.eq(partial_flow.last),
            ]
        m.d.sync += [
            valid[0].eq(partial_valid & partial_flow.last),
            *delay(valid),
            *delay(total),
            *delay(best),
        ]
        mantissa_bits = RECIPROCAL_INDEX_BITS + RECIPROCAL_REMAINDER_BITS
        mantissa = Signal(mantissa_bits)
        place = [Signal(range(places), name=f"place{i}") for i in range(3)]
        for candidate in range(places):
            exponent = candidate + EXP_FRAC
            with m.If((total[0] >> exponent) == 1):
                m.d.sync += [mantissa.eq((total[0] << mantissa_bits) >> exponent), place[0].eq(candidate)]
        base, slope = reciprocal_table()
        segment = data.StructLayout({"base": RECIPROCAL_FRAC + 1, "slope": int(slope.max()).bit_length()})
        m.submodules.segments = segments = Memory(
            shape=segment,
            depth=len(base),
            init=[{"base": int(b), "slope": int(s)} for b, s in zip(base, slope, strict=True)],
        )
        port = segments.read_port()
        remainder = Signal(RECIPROCAL_REMAINDER_BITS)
        scaled_slope = Signal(segment["slope"].width + RECIPROCAL_REMAINDER_BITS)
        start = Signal(RECIPROCAL_FRAC + 1)
        m.d.comb += port.addr.eq(mantissa >> RECIPROCAL_REMAINDER_BITS)
        m.d.sync += [
            remainder.eq(mantissa),
            scaled_slope.eq(product(port.data.slope, remainder, in_logic=self.in_logic)),
            start.eq(port.data.base),
            *delay(place),
        ]
        m.d.comb += [
            groups.w_en.eq(valid[-1]),
            groups_in.reciprocal.eq(start - (scaled_slope >> RECIPROCAL_REMAINDER_BITS)),
            groups_in.place.eq(place[-1]),
            groups_in.total.eq(total[-1]),
            groups_in.best.eq(best[-1]),
        ]

        # --- activities --------------------------------------------------------------------------------
        # Stages: operands, product, output; then a buffer, so that nothing here has to wait for what takes the results.
        m.submodules.buffer = buffer = StreamBuffer(self.results.payload.shape())
        connect(m, buffer.sink, flipped(self.results))
        result = buffer.source.payload
        finished = [Signal(name=f"activity_valid{i}") for i in range(3)]
        beat = [Signal(terms, name=f"activity_beat{i}") for i in range(3)]
        of_group = [Signal(group, name=f"activity_group{i}") for i in range(3)]
        release = Signal()
        leave = Signal()
        m.d.comb += [
            release.eq(~finished[-1] | buffer.source.ready),
            leave.eq(release & groups.r_rdy),
            ready.r_en.eq(leave),
            groups.r_en.eq(leave & ready_out.last),
            buffer.source.valid.eq(finished[-1]),
            result.term.eq(beat[-1].term),
            result.keep.eq(beat[-1].keep),
            result.last.eq(beat[-1].last),
            result.total.eq(of_group[-1].total),
            result.reciprocal.eq(of_group[-1].reciprocal),
            result.best.eq(of_group[-1].best),
        ]
        with m.If(release):
            m.d.sync += [
                Cat(*finished).eq(Cat(leave, *finished[:-1])),
                beat[0].eq(ready_out),
                of_group[0].eq(groups_out),
                *delay(beat),
                *delay(of_group),
            ]
        # No product exceeds 1.0 (a test tries every sum), so golden's limit needs no logic.
        for lane in range(lanes):
            scaled = Signal(EXP_FRAC + RECIPROCAL_FRAC + 1, name=f"scaled{lane}")
            aligned = Signal.like(scaled, name=f"aligned{lane}")
            m.d.comb += aligned.eq(scaled >> of_group[1].place)
            with m.If(release):
                m.d.sync += scaled.eq(beat[0].term[lane] * of_group[0].reciprocal)
            for output, frac in ((result.activity, config.activity_frac), (result.probability, config.prob_frac)):
                rounded = Signal(frac + 1, name=f"rounded{lane}_{frac}")
                register = Signal(frac + 1, name=f"output{lane}_{frac}")
                m.d.comb += [
                    rounded.eq(((aligned >> (EXP_FRAC + RECIPROCAL_FRAC - frac - 1)) + 1) >> 1),
                    output[lane].eq(register),
                ]
                with m.If(release):
                    m.d.sync += register.eq(rounded)
        return m
