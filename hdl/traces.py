"""The neurons that take part in learning, one after the other (docs/numerics.md, "Learning")."""

from __future__ import annotations

import math

from amaranth import C, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.arguments import RULES
from golden.config import DeviceConfig
from hdl.layouts import all_beats, winner_bits, word_index


def trace(config: DeviceConfig) -> data.StructLayout:
    """A neuron: ``source`` as in an event, its ``group``, and its column as ``word`` and ``lane``.

    ``activity`` q is that of the free phase, ``change`` what the rule makes of it: by how much the neuron should have
    been more active.
    """
    return data.StructLayout(
        {
            "source": range(config.neurons),
            "group": range(config.groups + 1),
            "word": word_index(config),
            "lane": range(max(config.lanes, 2)),
            "activity": config.activity.bits,
            "change": signed(config.activity.bits + 1),
        }
    )


def follows(rules: frozenset[str], rule: Value, name: str) -> Value:
    """Whether ``rule`` is that of a name; known beforehand where the rules of a build leave no choice."""
    return C(int(name in rules)) if rules <= {name} or name not in rules else rule == RULES[name]


class Traces(wiring.Component):
    """Goes through the stored activities and lists the neurons that are active or have a change.

    Golden twins: ``q`` and ``change`` in :func:`golden.plasticity.learn_batch`, ``trace`` and ``change`` in
    :func:`golden.spike_learning.learn_spikes`. Every activity up to 1.0 is allowed, and
    every winner within its group.

    A beat with n neurons to list takes max(n, 1) cycles if they are taken; the first is offered :attr:`latency` cycles
    after the start, and ``done`` set in the last cycle of the last beat.

    Parameters
    ----------
    config: sizes and formats.
    lanes: neurons per beat.
    rules: of the build.

    Members
    -------
    starts: In(stream of a rule); taken when the walk before is done.
    group: Out; winner: In, in the same cycle: where it should have been active alone.
    peek_address: Out; peek_activity, peek_second: In, in the same cycle: activities of the free phase and second ones
        (:class:`hdl.mover.Mover`). In spike mode the activities are traces, and the second ones of the published rule
        those of the softmax.
    entries: Out(stream of :func:`trace`).
    done: Out; one cycle at the end of a walk.
    """

    latency = 3
    """Cycles from the start to the first neuron."""

    def __init__(self, config: DeviceConfig, *, lanes: int, rules: frozenset[str]) -> None:
        self.config, self.lanes, self.rules = config, lanes, rules
        self.depth = all_beats(config, lanes)
        activities = data.ArrayLayout(config.activity.bits, lanes)
        super().__init__(
            {
                "starts": In(stream.Signature(2)),
                "group": Out(range(config.groups + 1)),
                "winner": In(winner_bits(config)),
                "peek_address": Out(range(self.depth)),
                "peek_activity": In(activities),
                "peek_second": In(activities),
                "entries": Out(stream.Signature(trace(config))),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        rule, walking = Signal(2), Signal()
        # Where the next beat begins: its neuron and column, and how many of its group come before.
        source, word, lane = (
            Signal(range(config.neurons + lanes)),
            Signal(word_index(config)),
            Signal(range(max(config.lanes, 2))),
        )
        before = Signal(range(max(config.group_size, config.actions)))
        is_action = self.group == config.groups
        contrastive, conditional = (follows(self.rules, rule, name) for name in ("contrastive", "conditional"))

        # --- a beat as it is stored: a register lies behind the stores ----------------------------------------
        sizes = (config.group_size, config.actions)
        beats_less_one = [math.ceil(size / lanes) - 1 for size in sizes]
        last_size = [size - lanes * beats for size, beats in zip(sizes, beats_less_one, strict=True)]
        ends = before == Mux(is_action, lanes * beats_less_one[1], lanes * beats_less_one[0])
        size = Mux(ends, Mux(is_action, last_size[1], last_size[0]), lanes)
        next_lane = lane + size
        # The neuron, group and column that a stored beat begins with, and how many neurons it has.
        stored, stored_base = Signal(), Signal(trace(config))
        stored_size, stored_before = Signal(range(lanes + 1)), Signal.like(before)
        stored_winner, stored_first, stored_second = (
            Signal.like(value, name=f"stored_{name}")
            for value, name in ((self.winner, "winner"), (self.peek_activity, "first"), (self.peek_second, "second"))
        )
        pending, held = Signal(lanes), Signal()
        # At most one neuron is left, and it goes now.
        clears, taken, advance, reads = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            clears.eq((pending & (pending - 1)[:lanes]) == 0),
            taken.eq(self.entries.valid & self.entries.ready),
            advance.eq((pending == 0) | (clears & taken)),
            reads.eq(~stored | advance),
            self.starts.ready.eq(~walking & ~stored & ~held),
        ]
        with m.If(reads):
            m.d.sync += stored.eq(walking)
        with m.If(walking & reads):
            m.d.sync += [
                stored_base.source.eq(source),
                stored_base.group.eq(self.group),
                stored_base.word.eq(word),
                stored_base.lane.eq(lane),
                stored_size.eq(size),
                stored_before.eq(before),
                stored_winner.eq(self.winner),
                stored_first.eq(self.peek_activity),
                stored_second.eq(self.peek_second),
                source.eq(source + size),
                lane.eq(Mux(next_lane >= config.lanes, next_lane - config.lanes, next_lane)),
                word.eq(word + (next_lane >= config.lanes)),
                before.eq(Mux(ends, 0, before + lanes)),
                self.peek_address.eq(self.peek_address + 1),
            ]
            with m.If(ends):
                m.d.sync += self.group.eq(self.group + 1)
                with m.If(is_action):
                    m.d.sync += walking.eq(0)
        with m.If(self.starts.valid & self.starts.ready):
            m.d.sync += [
                rule.eq(self.starts.payload),
                walking.eq(1),
                *(value.eq(0) for value in (source, word, lane, before, self.group, self.peek_address)),
            ]

        # --- a beat: which neurons count ----------------------------------------------------------------------
        base = Signal(trace(config))
        activity = [Signal(config.activity.bits, name=f"activity{i}") for i in range(lanes)]
        change = [Signal(signed(config.activity.bits + 1), name=f"change{i}") for i in range(lanes)]
        counts = Signal(lanes)
        one = 1 << config.activity_frac
        # Where the change is one from what was expected, which lies in the second store.
        expected = ~contrastive if config.spikes else conditional & (stored_base.group == config.groups)
        for i in range(lanes):
            new, old = Signal(config.activity.bits, name=f"new{i}"), Signal(config.activity.bits, name=f"old{i}")
            q = stored_first[i]
            m.d.comb += [
                new.eq(Mux(contrastive, stored_second[i], Mux(stored_winner == stored_before + i, one, 0))),
                old.eq(Mux(expected, stored_second[i], q)),
                # Whether it changes is asked apart, because that does not take a carry chain.
                counts[i].eq((i < stored_size) & ((q != 0) | (new != old))),
            ]
            with m.If(stored & advance):
                m.d.sync += [activity[i].eq(q), change[i].eq(new - old)]
        with m.If(taken):
            m.d.sync += pending.eq(pending & (pending - 1)[:lanes])
        with m.If(advance):
            m.d.sync += held.eq(stored)
        with m.If(stored & advance):
            m.d.sync += [pending.eq(counts), base.eq(stored_base)]
        m.d.comb += self.done.eq(held & ~walking & ~stored & advance)

        # --- one neuron after the other ---------------------------------------------------------------------
        entry, column = self.entries.payload, Signal(range(config.lanes + lanes))
        m.d.comb += [
            self.entries.valid.eq(pending.any()),
            entry.group.eq(base.group),
            entry.word.eq(base.word + (column >= config.lanes)),
            entry.lane.eq(Mux(column >= config.lanes, column - config.lanes, column)),
        ]
        for i in reversed(range(lanes)):
            with m.If(pending[i]):
                m.d.comb += [
                    entry.source.eq(base.source + i),
                    column.eq(base.lane + i),
                    entry.activity.eq(activity[i]),
                    entry.change.eq(change[i]),
                ]
        return m
