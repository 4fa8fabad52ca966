"""The winner of a group (docs/numerics.md, "Winners")."""

from __future__ import annotations

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DRAW_BITS, DeviceConfig
from hdl.layouts import softmax_beat, total_bits, winner_bits
from hdl.multiply import product
from hdl.pipeline import delay

CHOICE = data.StructLayout({"draw": DRAW_BITS, "greedy": 1})
"""How to choose: by a random draw, or the largest potential."""


class Sampler(wiring.Component):
    """One winner per group: drawn from the softmax terms by the inverse of their running sum, or the largest potential.

    Golden twins: :func:`golden.kernels.draw_winner` and :func:`golden.kernels.group_potential_winner` (found by the
    softmax on the way). Everything that :class:`hdl.softmax.Softmax` puts out is allowed, and every draw; a draw is not
    looked at when the choice is greedy.

    The winner is out :attr:`latency` cycles after the last beat of the group went in. A beat may go in in every cycle,
    groups following each other without a gap, as long as their choices are offered: the choice of a group is waited for
    from its first beat on and taken with its last.

    Multipliers: one, draw by sum, unless ``in_logic``; between registers.

    Parameters
    ----------
    config: sizes.
    lanes: neurons per beat.
    in_logic: multiply by adders.

    Members
    -------
    beats: In(stream of :func:`hdl.layouts.softmax_beat`).
    choices: In(stream of :data:`CHOICE`), one per group.
    winners: Out(stream of an index within the group).
    """

    latency = 3
    """Cycles from the last beat of a group to its winner."""

    def __init__(self, config: DeviceConfig, *, lanes: int, in_logic: bool = False) -> None:
        self.config, self.lanes, self.in_logic = config, lanes, in_logic
        super().__init__(
            {
                "beats": In(stream.Signature(softmax_beat(config, lanes))),
                "choices": In(stream.Signature(CHOICE)),
                "winners": Out(stream.Signature(winner_bits(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, width, index = self.lanes, total_bits(self.config), winner_bits(self.config)
        beat, choice = self.beats.payload, self.choices.payload
        valid = [Signal(name=f"valid{i}") for i in range(2)]
        last = [Signal(name=f"last{i}") for i in range(2)]
        greedy = [Signal(name=f"greedy{i}") for i in range(2)]
        best = [Signal(index, name=f"best{i}") for i in range(2)]
        done = Signal()
        winner = Signal(index)

        advance = Signal()
        m.d.comb += [
            advance.eq(~done | self.winners.ready),
            self.beats.ready.eq(advance & self.choices.valid),
            self.choices.ready.eq(advance & self.beats.valid & beat.last),
            self.winners.valid.eq(done),
            self.winners.payload.eq(winner),
        ]

        # Operands; then the sums over the lanes up to each, and the threshold.
        term = [Signal(beat.term[lane].shape(), name=f"term{lane}") for lane in range(lanes)]
        upto = [Signal(width, name=f"upto{lane}") for lane in range(lanes)]
        draw, total = Signal(DRAW_BITS), Signal(width)
        scaled = Signal(width + DRAW_BITS)
        with m.If(advance):
            m.d.sync += [
                valid[0].eq(self.beats.valid & self.choices.valid),
                last[0].eq(beat.last),
                greedy[0].eq(choice.greedy),
                best[0].eq(beat.best),
                Cat(*term).eq(beat.term),
                draw.eq(choice.draw),
                total.eq(beat.total),
                *delay(valid),
                *delay(last),
                *delay(greedy),
                *delay(best),
                *(register.eq(sum(term[: lane + 1])) for lane, register in enumerate(upto)),
                scaled.eq(product(total, draw, in_logic=self.in_logic)),
            ]

        # The first lane whose running sum exceeds the threshold; `passed` once an earlier
        # beat had it: running sums never fall, so that beat's last lane hit as well.
        running = Signal(width)
        position = Signal(index)
        passed = Signal()
        hits = Signal(lanes)
        threshold = scaled >> DRAW_BITS
        m.d.comb += hits.eq(Cat(running + value > threshold for value in upto))
        first_hit = Signal(range(lanes + 1))
        for lane in reversed(range(lanes)):
            with m.If(hits[lane]):
                m.d.comb += first_hit.eq(lane)
        with m.If(advance):
            m.d.sync += done.eq(valid[1] & last[1])
            with m.If(valid[1]):
                m.d.sync += [
                    running.eq(Mux(last[1], 0, running + upto[-1])),
                    position.eq(Mux(last[1], 0, position + lanes)),
                    passed.eq(~last[1] & hits[-1]),
                ]
                with m.If(greedy[1]):
                    m.d.sync += winner.eq(best[1])
                with m.Elif(~passed):
                    m.d.sync += winner.eq(position + first_hit)
        return m
