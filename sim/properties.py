"""What is proved about components (:mod:`sim.formal`)."""

from __future__ import annotations

from amaranth import Module, Signal
from amaranth.hdl import Assert, Assume
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.arguments import RULES
from golden.config import DeviceConfig
from golden.protocol import EVERYTHING
from hdl.eligibility import Eligibility
from hdl.layouts import all_beats
from hdl.observations import ObservationQueue, observation
from hdl.reader import CommandReader
from hdl.traces import Traces
from sim.formal import counts_down, keeps_offers, stays

PATIENCE = 2
"""Cycles that a neighbour lets a component wait at most, where the component has to come to an end."""


class QueueLosesNothing(wiring.Component):
    """:class:`ObservationQueue` offers exactly what was put in, as often as it is rewound, the last one marked.

    Assumed: nothing is put in or cleared while entries are on their way out, and no more than fit. ``wrong`` breaks the
    property on purpose: it asserts one entry fewer.
    """

    def __init__(self, config: DeviceConfig, wrong: bool = False) -> None:
        self.config, self.wrong = config, wrong
        self.queue = ObservationQueue(config)
        super().__init__(
            {
                "put": In(stream.Signature(observation(config))),
                "clear": In(1),
                "rewind": In(1),
                "chosen": In(range(config.inputs)),
                "entries": self.queue.signature.members["entries"],
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = self.queue
        connect(m, queue.entries, flipped(self.entries))
        m.d.comb += [
            queue.put.payload.eq(self.put.payload),
            queue.put.valid.eq(self.put.valid),
            self.put.ready.eq(1),
            queue.clear.eq(self.clear),
            queue.rewind.eq(self.rewind),
        ]
        count, left = Signal(range(self.config.inputs + 2)), Signal(range(self.config.inputs + 2))
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.put.valid):
            m.d.sync += count.eq(count + 1)
        with m.If(self.rewind):
            m.d.sync += left.eq(count)
        with m.Elif(self.entries.valid & self.entries.ready):
            m.d.sync += left.eq(left - 1)
        changes = self.put.valid | self.clear
        # What was put in at a place that the solver chooses comes out again at that place.
        chosen, there, value = self.chosen, Signal(), Signal(observation(self.config))
        with m.If(self.put.valid & (count == chosen)):
            m.d.sync += [value.eq(self.put.payload), there.eq(1)]
        entries = self.entries
        at = count - left
        m.d.comb += [
            Assume(stays(m, chosen, "chosen")),
            Assume(~changes | (left == 0)),
            Assume(~(changes & self.rewind)),
            Assume(~(self.put.valid & self.clear)),
            Assume(~self.put.valid | (count < self.config.inputs)),
            Assert(queue.count == count),
            Assert(~entries.valid | (left > int(self.wrong))),
            Assert(~entries.valid | (entries.payload.last == (left == 1))),
            Assert(~(entries.valid & there & (at == chosen)) | (entries.payload.entry == value)),
            Assert(keeps_offers(m, entries, "entries", self.rewind)),
        ]
        _, in_time = counts_down(m, self.rewind & (count != 0), entries.valid, 2, "first")
        m.d.comb += Assert(in_time)
        return m


class TracesEnd(wiring.Component):
    """Every walk of :class:`Traces` ends within its beats, neurons and the waits for the taker; offers are kept."""

    def __init__(self, config: DeviceConfig, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        self.traces = Traces(config, lanes=lanes, rules=frozenset(RULES))
        super().__init__(dict(self.traces.signature.members))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.traces = traces = self.traces
        connect(m, flipped(self.starts), traces.starts)
        connect(m, traces.entries, flipped(self.entries))
        for name in ("winner", "peek_activity", "peek_second"):
            m.d.comb += getattr(traces, name).eq(getattr(self, name))
        for name in ("group", "peek_address", "done"):
            m.d.comb += getattr(self, name).eq(getattr(traces, name))
        entries, waited = self.entries, Signal(range(PATIENCE + 2))
        m.d.sync += waited.eq(0)
        with m.If(entries.valid & ~entries.ready):
            m.d.sync += waited.eq(waited + 1)
        longest = Traces.latency + all_beats(self.config, self.lanes) + (PATIENCE + 1) * self.config.neurons
        begins = self.starts.valid & self.starts.ready
        going, in_time = counts_down(m, begins, self.done, longest, "walk")
        m.d.comb += [
            Assume(waited <= PATIENCE),
            Assert(keeps_offers(m, entries, "entries")),
            Assert(in_time),
            Assert(~self.done | going),
            Assert(~going | ~self.starts.ready),
            Assert(~entries.valid | going),
        ]
        return m


class EligibilityReturns(wiring.Component):
    """:class:`Eligibility` takes the next sample again, whatever the activities, winners and observations of this one.

    It writes what it fetches, to addresses that exist, and ends once per start. Assumed: observations come in time.
    """

    def __init__(self, config: DeviceConfig, lanes: int) -> None:
        self.config = config
        self.eligibility = Eligibility(config, lanes=lanes, products=1, rules=frozenset(RULES))
        members = dict(self.eligibility.signature.members)
        self.longest = (
            2 * (Traces.latency + all_beats(config, lanes) + 2 * config.neurons * config.row_words)
            + (PATIENCE + 2 + config.row_words) * config.inputs
            + 4 * config.row_words
            + 20
        )
        super().__init__({**members, "total": In(range(config.inputs + 1)), "asks": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.eligibility = eligibility = self.eligibility
        connect(m, flipped(self.starts), eligibility.starts)
        connect(m, flipped(self.observations), eligibility.observations)
        for name in ("winner", "peek_activity", "peek_second", "no_observations"):
            m.d.comb += getattr(eligibility, name).eq(getattr(self, name))
        m.d.comb += [self.done.eq(eligibility.done), self.busy.eq(eligibility.busy), self.rewind.eq(eligibility.rewind)]
        m.d.comb += self.asks.eq(eligibility.fetch.en)
        # After a rewind the observations come, one at least, the last marked.
        offered, left, waited = self.observations, Signal(range(self.config.inputs + 2)), Signal(range(PATIENCE + 4))
        total = self.total
        m.d.sync += waited.eq(0)
        with m.If(eligibility.rewind):
            m.d.sync += left.eq(total)
        with m.Elif(offered.valid & offered.ready):
            m.d.sync += left.eq(left - 1)
        with m.Elif(offered.ready & ~offered.valid & (left != 0)):
            m.d.sync += waited.eq(waited + 1)
        begins = self.starts.valid & self.starts.ready
        going, in_time = counts_down(m, begins, self.done, self.longest, "sample")
        _, cleared = counts_down(m, self.done, ~self.busy, self.config.row_words + 3, "clearing")
        fetched, fetched_before = Signal(), Signal()
        m.d.sync += [fetched.eq(eligibility.fetch.en), fetched_before.eq(fetched)]
        m.d.comb += [
            Assume(stays(m, total, "total")),
            Assume(total <= self.config.inputs),
            Assume(self.no_observations == (total == 0)),
            Assume(~offered.valid | (left != 0)),
            Assume(offered.payload.last == (left == 1)),
            Assume(waited <= PATIENCE),
            Assume(keeps_offers(m, offered, "observations", eligibility.rewind)),
            Assert(in_time),
            Assert(cleared),
            Assert(~self.done | going),
            Assert(eligibility.write.en == fetched_before),
            Assert(
                ~eligibility.write.en | (eligibility.write.address < (self.config.sources + 1) * self.config.row_words)
            ),
        ]
        return m


class ReaderAnswers(wiring.Component):
    """:class:`CommandReader` makes one request of every frame, whatever words come, and of nothing else."""

    def __init__(self, config: DeviceConfig) -> None:
        self.reader = CommandReader(config, EVERYTHING)
        own = self.reader.signature.members
        super().__init__({name: own[name] for name in ("commands", "requests", "given_group")} | {"puts": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = self.reader
        connect(m, flipped(self.commands), reader.commands)
        connect(m, reader.requests, flipped(self.requests))
        m.d.comb += [reader.given_group.eq(self.given_group), self.puts.eq(reader.put.valid)]
        commands, requests = self.commands, self.requests
        ends = commands.valid & commands.ready & commands.payload.last
        owed = Signal()
        with m.If(ends):
            m.d.sync += owed.eq(1)
        with m.Elif(requests.valid & requests.ready):
            m.d.sync += owed.eq(0)
        _, soon = counts_down(m, ends, requests.valid, 2, "request")
        m.d.comb += [
            Assert(keeps_offers(m, requests, "requests")),
            Assert(~requests.valid | owed),
            Assert(~(ends & owed & ~(requests.valid & requests.ready))),
            Assert(soon),
        ]
        return m
