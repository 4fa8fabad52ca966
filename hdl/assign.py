"""Activities that are given, not computed (docs/numerics.md, "Inference" step 2 and "Winners")."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import activity_beat, group_beats, last_beat, last_keep, lies_at, winner_bits


def assignment(config: DeviceConfig) -> data.StructLayout:
    """What a group is set to: all on ``winner``, or ``uniform``; ``action`` tells the action group from hidden ones."""
    return data.StructLayout({"winner": winner_bits(config), "uniform": 1, "action": 1})


def uniform_activity(config: DeviceConfig, size: int) -> int:
    """Activity of each neuron of a group that starts uniform."""
    return ((2 << config.activity_frac) + size) // (2 * size)


class Assigner(wiring.Component):
    """The activities of one group after the other as beats: one-hot, or uniform.

    Golden twins: the one-hot activities in :func:`golden.kernels.hidden_jump`, the uniform ones in
    :func:`golden.kernels.feed_forward`. Every winner within its group is allowed.

    The beats are offered in the cycle of the assignment, which is taken with the last of them.

    Parameters
    ----------
    config: sizes and formats.
    lanes: neurons per beat.

    Members
    -------
    groups: In(stream of :func:`assignment`).
    beats: Out(stream of :func:`hdl.layouts.activity_beat`).
    """

    def __init__(self, config: DeviceConfig, *, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        super().__init__(
            {
                "groups": In(stream.Signature(assignment(config))),
                "beats": Out(stream.Signature(activity_beat(config, lanes))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        group, beat = self.groups.payload, self.beats.payload
        number = Signal(range(max(group_beats(config, lanes), 2)))
        final = Signal()

        sizes = (config.group_size, config.actions)
        hidden, action = (
            (last_beat(size, lanes), last_keep(size, lanes), uniform_activity(config, size)) for size in sizes
        )
        m.d.comb += [
            final.eq(number == Mux(group.action, action[0], hidden[0])),
            beat.keep.eq(Mux(final, Mux(group.action, action[1], hidden[1]), (1 << lanes) - 1)),
            self.beats.valid.eq(self.groups.valid),
            self.groups.ready.eq(self.beats.ready & final),
        ]
        for lane in range(lanes):
            one_hot = Mux(lies_at(group.winner, number, lane, lanes), 1 << config.activity_frac, 0)
            uniform = Mux(group.action, action[2], hidden[2])
            m.d.comb += beat.activity[lane].eq(Mux(group.uniform, uniform, one_hot))
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += number.eq(Mux(final, 0, number + 1))
        return m
