"""Spikes enter the windows of their groups, and leave them (docs/numerics.md, "Spikes")."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import activity_beat, all_spikes, group_beats, last_beat, last_keep, lies_at, winner_bits

STEP = data.StructLayout({"first": 1, "departs": 1, "clamped": 1, "still": 1})
"""A time step. ``first``: of a decision, ``departs``: of a clamped phase; ``clamped``: of such a phase, in which the
action group sends nothing; ``still``: the spikes are noted only, no beats come."""


class SpikeShifter(wiring.Component):
    """The spikes of every group so far, and the traces that follow from those of the next step.

    Golden twin: :func:`golden.spikes.enter`: a group's spike enters, that of a window before leaves; the first counts
    as if it had been sent throughout the window before. A clamped phase goes on from the last window of the free phase,
    whose spikes it replaces. Every spike within its group is allowed.

    The beats of a group are offered while its spike is, which is taken with the last of them; without beats, a spike is
    taken in every cycle. A step is taken when the one before is over.

    Parameters
    ----------
    config: sizes, steps and window.
    lanes: neurons per beat.

    Members
    -------
    steps: In(stream of :data:`STEP`).
    spikes: In(stream of an index within the group), one for each group in order.
    before: In; the traces of the neurons of the beat so far, in the cycle of the beat.
    beats: Out(stream of :func:`hdl.layouts.activity_beat`): the new traces.
    peek_address: In, peek_spike: Out, one cycle later: spike ``step * (G + 1) + group`` of the free phase, while no
        step is at work.
    """

    def __init__(self, config: DeviceConfig, *, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        self.depth = all_spikes(config)
        super().__init__(
            {
                "steps": In(stream.Signature(STEP)),
                "spikes": In(stream.Signature(winner_bits(config))),
                "before": In(data.ArrayLayout(config.activity.bits, lanes)),
                "beats": Out(stream.Signature(activity_beat(config, lanes))),
                "peek_address": In(range(self.depth)),
                "peek_spike": Out(winner_bits(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes, groups = self.config, self.lanes, self.config.groups
        m.submodules.history = history = Memory(shape=winner_bits(config), depth=self.depth, init=[])
        put, get = history.write_port(), history.read_port()
        running, job = Signal(), Signal(STEP)
        # Where the spikes that come and those that leave lie: one behind the other, step after step.
        new_at, old_at, next_old_at = (
            Signal(range(self.depth + groups + 1), name=name) for name in ("new_at", "old_at", "next_old_at")
        )
        # Steps taken: in those up to the window it is the first spike that leaves.
        age = Signal(range(config.window + 2))
        group, number = Signal(range(groups + 1)), Signal(range(max(group_beats(config, lanes), 2)))
        spike, beat, step = self.spikes.payload, self.beats.payload, self.steps.payload
        is_action, final, taken, ends = Signal(), Signal(), Signal(), Signal()
        sizes = (config.group_size, config.actions)
        hidden, action = ((last_beat(size, lanes), last_keep(size, lanes)) for size in sizes)
        m.d.comb += [
            is_action.eq(group == groups),
            final.eq(number == Mux(is_action, action[0], hidden[0])),
            self.beats.valid.eq(running & self.spikes.valid & ~job.still),
            beat.keep.eq(Mux(final, Mux(is_action, action[1], hidden[1]), (1 << lanes) - 1)),
            self.spikes.ready.eq(running & (job.still | (self.beats.ready & final))),
            taken.eq(self.spikes.valid & self.spikes.ready),
            ends.eq(taken & (group == Mux(job.clamped, groups - 1, groups))),
            self.steps.ready.eq(~running),
            put.addr.eq(new_at),
            put.data.eq(spike),
            put.en.eq(taken),
            next_old_at.eq(old_at),
            get.addr.eq(Mux(running, next_old_at, self.peek_address)),
            self.peek_spike.eq(get.data),
        ]
        one, unit = 1 << config.activity_frac, (1 << config.activity_frac) // config.window
        for lane in range(lanes):
            enters, leaves = Signal(name=f"enters{lane}"), Signal(name=f"leaves{lane}")
            m.d.comb += [
                enters.eq(lies_at(spike, number, lane, lanes)),
                leaves.eq(lies_at(get.data, number, lane, lanes)),
                beat.activity[lane].eq(
                    Mux(
                        job.first,
                        Mux(enters, one, 0),
                        self.before[lane] + Mux(enters & ~leaves, unit, 0) - Mux(leaves & ~enters, unit, 0),
                    )
                ),
            ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += number.eq(Mux(final, 0, number + 1))
        with m.If(taken):
            # The action group has a place that a clamped phase passes over.
            passed = Mux(ends & job.clamped, 2, 1)
            m.d.comb += next_old_at.eq(old_at + passed)
            m.d.sync += [new_at.eq(new_at + passed), group.eq(Mux(ends, 0, group + 1)), running.eq(~ends)]
        with m.If(self.steps.valid & self.steps.ready):
            m.d.sync += [job.eq(step), running.eq(1)]
            m.d.comb += get.addr.eq(next_old_at)
            with m.If(step.first):
                m.d.comb += next_old_at.eq(0)
                m.d.sync += [new_at.eq(0), age.eq(1)]
            with m.Elif(step.departs):
                m.d.comb += next_old_at.eq((config.steps - config.window) * (groups + 1))
                m.d.sync += [new_at.eq(next_old_at)]
            with m.Elif(~step.clamped & (age <= config.window)):
                m.d.comb += next_old_at.eq(0)
                m.d.sync += age.eq(age + 1)
        m.d.sync += old_at.eq(next_old_at)
        return m
