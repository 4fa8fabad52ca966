"""The eligibility of a sample enters the accumulators, row by row (docs/numerics.md, "Learning")."""

from __future__ import annotations

import functools
import operator

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.kernels import ACTION, HIDDEN, OBSERVATION
from golden.protocol import Section
from hdl.columns import Columns
from hdl.engine import COUNTER_BITS
from hdl.fixed import saturate, shift_round
from hdl.lanes import share_signature
from hdl.layouts import all_beats, event_bits, product_bits, winner_bits, word_index
from hdl.memory import FETCH_LATENCY, fetch_signature, row_address, write_signature
from hdl.observations import queued_observation
from hdl.pipeline import delay
from hdl.traces import Traces, follows

BIAS = 3
"""Class of the bias row, beside :data:`golden.kernels.HIDDEN`, ``ACTION`` and ``OBSERVATION``."""


def lesson(config: DeviceConfig) -> data.StructLayout:
    """What to learn from a sample: ``rule`` and ``modulator`` as in ``LEARN``.

    In spike mode ``more`` tells that it is another time step of the sample before.
    """
    more = {"more": 1} if config.spikes else {}
    return data.StructLayout({"rule": 2, "modulator": signed(config.modulator_bits), **more})


def span_words(config: DeviceConfig, kind: int) -> int:
    """The words that rows of a class reach, a bit each."""
    low, high = (0, config.neurons) if kind == BIAS else config.spans[kind].tolist()
    return sum(1 << word for word in range(low // config.lanes, -(-high // config.lanes))) if high > low else 0


def targets(config: DeviceConfig, kind: int) -> tuple[bool, bool]:
    """Whether rows of a class reach hidden columns, and action columns."""
    low, high = (0, config.neurons) if kind == BIAS else config.spans[kind].tolist()
    return low < min(high, config.hidden), max(low, config.hidden) < high


class Eligibility(wiring.Component):
    """Adds the modulated eligibility of one sample to the accumulators.

    Golden twin: :func:`golden.plasticity.accumulate_sample` with ``both`` set, to the bit, ``word_count`` included.

    With MC and MQ, a column's change and activity times the modulator, a row is an event of two values, and a synapse
    receives B * MC + A * MQ, rounded once, where A is the row's change and B its trace: its activity, and its change
    with it where the rule's trace is what the neuron has become. An observation row has the value B alone, and so has
    the bias row. docs/architecture.md derives that from the three rules.

    First the columns are gathered, one neuron per cycle. Then the rows are gone through: those that have changed touch
    all words of their span, others those with a changed column; nothing else is touched. One word enters the
    accumulators per cycle (two cycles for one of a row that has changed, with one product per lane).

    A modulator of 0 is done in the cycle after the start, a sample without a change when its neurons have been looked
    at, :attr:`overhead` cycles later than the walk takes. Starts are taken when the columns of the sample before have
    been cleared.

    Multipliers: those that it borrows, two for the columns, and ``config.lanes`` more with two products.

    Parameters
    ----------
    config: sizes and formats.
    lanes: neurons per beat of the activities.
    products: multipliers per lane, 1 or 2.
    rules: of the build.

    Members
    -------
    starts: In(stream of :func:`lesson`).
    winner_group: Out; winner: In, in the same cycle: winners of the sample, the action being that of the last group.
    peek_address: Out; peek_activity, peek_second: In, in the same cycle: as :class:`hdl.traces.Traces`.
    rewind: Out, no_observations: In, observations: In(stream of :func:`hdl.observations.queued_observation`).
    fetch, write: Out; the accumulators.
    share: Out(:func:`hdl.lanes.share_signature`).
    word_count: Out; row words touched since a start that was not ``more``, biases apart.
    busy: Out; a start cannot be taken, since the last sample is at work or the columns are being cleared.
    done: Out; one cycle, all has been written.
    """

    overhead = Traces.latency + 2
    """Cycles of a sample without a change beside those of the neurons it lists (:class:`hdl.traces.Traces`)."""

    def __init__(self, config: DeviceConfig, *, lanes: int, products: int, rules: frozenset[str]) -> None:
        if products not in (1, 2):
            raise SvpgError(f"products = {products} is not possible; give 1 or 2")
        self.config, self.lanes, self.products, self.rules = config, lanes, products, rules
        activities = data.ArrayLayout(config.activity.bits, lanes)
        super().__init__(
            {
                "starts": In(stream.Signature(lesson(config))),
                "winner_group": Out(range(config.groups + 1)),
                "winner": In(winner_bits(config)),
                "peek_address": Out(range(all_beats(config, lanes))),
                "peek_activity": In(activities),
                "peek_second": In(activities),
                "rewind": Out(1),
                "no_observations": In(1),
                "observations": In(stream.Signature(queued_observation(config))),
                "fetch": Out(fetch_signature(config, Section.ACC)),
                "write": Out(write_signature(config, Section.ACC)),
                "share": Out(share_signature(config)),
                "word_count": Out(COUNTER_BITS),
                "busy": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.config.lanes
        m.submodules.traces = traces = Traces(config, lanes=self.lanes, rules=self.rules)
        m.submodules.columns = columns = Columns(config)
        job = Signal(lesson(config))
        m.d.comb += [
            self.winner_group.eq(traces.group),
            traces.winner.eq(self.winner),
            self.peek_address.eq(traces.peek_address),
            traces.peek_activity.eq(self.peek_activity),
            traces.peek_second.eq(self.peek_second),
            traces.starts.payload.eq(job.rule),
            columns.modulator.eq(job.modulator),
            columns.put.payload.eq(traces.entries.payload),
        ]

        # --- the rows on offer: neurons, observations, biases -------------------------------------------------
        drive = config.drive_frac
        value_shape = signed(event_bits(config))
        listing, observing, biasing = (Signal(name=name) for name in ("listing", "observing", "biasing"))
        row_valid, row_ready = Signal(), Signal()
        kind, source, group = (
            Signal(range(BIAS + 1)),
            Signal(range(config.sources + 1)),
            Signal(range(config.groups + 2)),
        )
        # Values for hidden columns, for action columns, and the change's.
        hidden_value, action_value, change_value = (
            Signal(value_shape, name=name) for name in ("hidden_value", "action_value", "change_value")
        )
        entry, seen = traces.entries.payload, self.observations.payload
        own_class = Mux(entry.group == config.groups, ACTION, HIDDEN)
        contrastive, conditional = (follows(self.rules, job.rule, name) for name in ("contrastive", "conditional"))
        shift = drive - config.activity_frac

        def scaled(value: Value) -> Value:
            """An activity as the value of an event; twice that for the contrastive rule."""
            return Mux(contrastive, value << shift + 1, value << shift)

        # What a neuron has become, and where it is the trace.
        become = entry.activity + entry.change
        whole = contrastive | (conditional & (own_class == ACTION))
        whole_to_action = contrastive | conditional
        no_group = config.groups + 1
        m.d.comb += [
            row_valid.eq((listing & traces.entries.valid) | (observing & self.observations.valid) | biasing),
            self.observations.ready.eq(observing & row_ready),
        ]
        with m.If(listing):
            m.d.comb += [
                kind.eq(own_class),
                source.eq(entry.source),
                group.eq(entry.group),
                hidden_value.eq(scaled(Mux(whole, become, entry.activity))),
                action_value.eq(scaled(Mux(whole_to_action, become, entry.activity))),
                change_value.eq(scaled(entry.change)),
            ]
        with m.Elif(observing):
            value = seen.entry.value << drive - config.obs_frac
            m.d.comb += [
                kind.eq(OBSERVATION),
                source.eq(config.neurons + seen.entry.index),
                group.eq(no_group),
                hidden_value.eq(value),
                action_value.eq(value),
            ]
        with m.Else():
            m.d.comb += [
                kind.eq(BIAS),
                source.eq(config.sources),
                group.eq(no_group),
                hidden_value.eq(1 << drive),
                action_value.eq(1 << drive),
            ]

        # --- the row in work: one word per cycle ---------------------------------------------------------------
        def is_one(words: Value) -> Value:
            """Whether it is one word, or none."""
            return (words & (words - 1)[: len(words)]) == 0

        is_dense = change_value != 0
        spans, moved = Signal(config.row_words), Signal(config.row_words)
        # Whether each is one word at most; what has changed is known long before a row asks.
        one_span, one_moved = Signal(), Signal()
        with m.Switch(kind):
            for number in (HIDDEN, ACTION, OBSERVATION, BIAS):
                reached = [
                    changed
                    for changed, is_target in zip(
                        (columns.changed_hidden, columns.changed_action), targets(config, number), strict=True
                    )
                    if is_target
                ]
                changes = functools.reduce(operator.or_, reached, C(0, config.row_words))
                known_one = Signal(name=f"known_one{number}")
                m.d.sync += known_one.eq(is_one(changes))
                with m.Case(number):
                    m.d.comb += [
                        spans.eq(span_words(config, number)),
                        one_span.eq(span_words(config, number).bit_count() <= 1),
                        moved.eq(changes),
                        one_moved.eq(known_one),
                    ]
        todo, words = Signal(config.row_words), Signal(word_index(config))
        address = Signal.like(self.fetch.address)
        job_kind, job_group, job_dense = Signal.like(kind), Signal.like(group), Signal()
        job_values = [Signal(value_shape, name=f"job_value{i}") for i in range(3)]
        issues, closes, again = Signal(), Signal(), Signal()
        lowest = todo & -todo
        # Whether no word is left beside that in work; a register, because readiness goes far.
        final = Signal(init=1)
        # With one product per lane, a word of a row that has changed is issued twice.
        twice = job_dense if self.products == 1 else C(0)
        m.d.comb += [
            issues.eq(todo.any()),
            closes.eq(issues & (again | ~twice)),
            row_ready.eq(final & (~issues | again | ~twice)),
            traces.entries.ready.eq(Mux(listing, row_ready, 1)),
        ]
        for word in range(config.row_words):
            with m.If(lowest[word]):
                m.d.comb += words.eq(word)
        with m.If(issues):
            m.d.sync += again.eq(twice & ~again)
        with m.If(closes):
            m.d.sync += [todo.eq(todo & ~lowest), final.eq(is_one(todo & ~lowest))]
            with m.If(job_kind != BIAS):
                m.d.sync += self.word_count.eq(self.word_count + 1)
        with m.If(row_valid & row_ready):
            m.d.sync += [
                todo.eq(Mux(is_dense, spans, moved)),
                final.eq(Mux(is_dense, one_span, one_moved)),
                address.eq(row_address(config, source, 0)),
                job_kind.eq(kind),
                job_group.eq(group),
                job_dense.eq(is_dense),
                *(
                    held.eq(value)
                    for held, value in zip(job_values, (hidden_value, action_value, change_value), strict=True)
                ),
            ]

        # --- columns, products, sum, rounding, accumulator: stage i holds what was issued i + 1 cycles ago --------
        at_product, at_amount = 3, 5
        stages = at_amount + 1
        valid = [Signal(name=f"valid{i}") for i in range(stages)]
        places = [Signal.like(address, name=f"place{i}") for i in range(stages)]
        kinds = [Signal.like(kind, name=f"kind{i}") for i in range(at_product + 1)]
        own_groups = [Signal.like(group, name=f"group{i}") for i in range(at_product + 1)]
        dense = [Signal(name=f"dense{i}") for i in range(at_product)]
        # Of the first stage: a word, for the first or the second time, and the values of its row.
        issued, again_now, word_now = Signal(), Signal(), Signal.like(words)
        values = [Signal(value_shape, name=f"value{i}") for i in range(3)]
        for stages_of in (valid, places, kinds, own_groups, dense):
            m.d.sync += delay(stages_of)
        m.d.sync += [
            valid[0].eq(closes),
            places[0].eq(address + words),
            kinds[0].eq(job_kind),
            own_groups[0].eq(job_group),
            dense[0].eq(job_dense),
            issued.eq(issues),
            again_now.eq(again),
            word_now.eq(words),
            *(value.eq(held) for value, held in zip(values, job_values, strict=True)),
        ]
        m.d.comb += [
            columns.word.eq(word_now),
            self.fetch.en.eq(valid[at_amount - FETCH_LATENCY]),
            self.fetch.address.eq(places[at_amount - FETCH_LATENCY]),
            self.write.en.eq(valid[at_amount]),
            self.write.address.eq(places[at_amount]),
        ]
        # The group of each column, one beyond the last where there is none.
        table = data.ArrayLayout(range(config.groups + 2), lanes)
        group_of = [
            next(g for g in range(config.groups + 1) if j < config.group_start[g + 1]) for j in range(config.neurons)
        ]
        group_of += [no_group] * (config.row_words * lanes - config.neurons)
        m.submodules.groups = groups = Memory(
            shape=table,
            depth=max(config.row_words, 2),
            init=[group_of[word * lanes : (word + 1) * lanes] for word in range(config.row_words)],
        )
        column_groups = groups.read_port()
        looked_up = [column_groups.data, *(Signal(table, name=f"looked_up{i}") for i in range(2, at_product + 1))]
        m.d.comb += column_groups.addr.eq(word_now)
        m.d.sync += delay(looked_up)
        to_hidden, to_action = Signal(), Signal()
        with m.Switch(kinds[at_product]):
            for number in (HIDDEN, ACTION, OBSERVATION, BIAS):
                with m.Case(number):
                    m.d.comb += [
                        target.eq(int(reached))
                        for target, reached in zip((to_hidden, to_action), targets(config, number), strict=True)
                    ]
        m.d.sync += self.share.use.eq(issued)
        rounding = drive + config.activity_frac + config.modulator_frac - config.acc_frac
        # What the published rule adds up over a window of spikes is a mean.
        most_rounding, shift_amount = rounding, C(rounding)
        if config.spikes and "published" in self.rules:
            most_rounding += config.window.bit_length() - 1
            shift_amount = Mux(follows(self.rules, job.rule, "published"), most_rounding, rounding)
        # Words in which a lane belongs to the action group, a bit each.
        has_action = [
            C(
                sum((group_of[word * lanes + lane] == config.groups) << word for word in range(config.row_words)),
                config.row_words,
            )
            for lane in range(lanes)
        ]
        for lane in range(lanes):
            # The factors: of the columns' change and, in the second product, of their activity.
            trace_value: Value = values[0]
            if has_action[lane].value:
                trace_value = Mux(has_action[lane].bit_select(word_now, 1), values[1], values[0])
            first_factor, first_column = trace_value, columns.change[lane]
            if self.products == 1:
                first_factor = Mux(again_now, values[2], trace_value)
                first_column = Mux(again_now, columns.activity[lane], columns.change[lane])
            with m.If(issued):
                m.d.sync += [self.share.columns[lane].eq(first_column), self.share.factors[lane].eq(first_factor)]
            product, second, other = (
                Signal.like(self.share.products[lane], name=f"{name}{lane}") for name in ("product", "second", "other")
            )
            m.d.sync += product.eq(self.share.products[lane])
            if self.products == 1:
                m.d.sync += other.eq(Mux(dense[-1], product, 0))
            else:
                column, factor = (
                    Signal.like(columns.activity[lane], name=f"column{lane}"),
                    Signal(value_shape, name=f"factor{lane}"),
                )
                with m.If(issued):
                    m.d.sync += [column.eq(columns.activity[lane]), factor.eq(values[2])]
                with m.If(self.share.use):
                    m.d.sync += second.eq(column * factor)
                m.d.sync += other.eq(Mux(dense[-1], second, 0))
            total = Signal(signed(product_bits(config) + 1), name=f"total{lane}")
            exists = Signal(name=f"exists{lane}")
            own = looked_up[-1][lane]
            with m.If(valid[at_product]):
                m.d.sync += [
                    total.eq(product + other),
                    exists.eq(
                        (own != own_groups[at_product])
                        & Mux(own == config.groups, to_action, (own != no_group) & to_hidden)
                    ),
                ]
            amount = Signal(signed(max(product_bits(config) + 1 - rounding, 1) + 1), name=f"amount{lane}")
            with m.If(valid[at_amount - 1]):
                m.d.sync += amount.eq(Mux(exists, shift_round(total, shift_amount, most_rounding), 0))
            m.d.comb += self.write.data[lane].eq(saturate(self.fetch.data[lane] + amount, config.acc_bits))

        # --- the course of a sample ------------------------------------------------------------------------------
        emptied = ~(todo.any() | Cat(*valid).any())
        m.d.comb += self.busy.eq(~self.starts.ready)
        with m.FSM(init="CLEAR"):
            with m.State("CLEAR"):
                m.d.comb += columns.clear.eq(1)
                m.next = "CLEARING"
            with m.State("CLEARING"), m.If(~columns.clearing):
                m.next = "IDLE"
            with m.State("IDLE"):
                m.d.comb += self.starts.ready.eq(1)
                with m.If(self.starts.valid):
                    m.d.sync += job.eq(self.starts.payload)
                    with m.If(~self.starts.payload.more if config.spikes else 1):
                        m.d.sync += self.word_count.eq(0)
                    m.next = "WALK"
            with m.State("WALK"):
                m.d.comb += traces.starts.valid.eq(job.modulator != 0)
                m.next = "GATHER"
                with m.If(job.modulator == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("GATHER"):
                m.d.comb += columns.put.valid.eq(traces.entries.valid)
                with m.If(traces.done):
                    m.next = "STORE"
            with m.State("STORE"):
                # The last neuron is on its way into the columns.
                m.next = "LOOK"
            with m.State("LOOK"):
                changes = columns.changed_hidden.any() | columns.changed_action.any()
                m.d.comb += [traces.starts.valid.eq(changes), self.rewind.eq(changes), self.done.eq(~changes)]
                m.next = "CLEAR"
                with m.If(changes):
                    m.next = "NEURONS"
            with m.State("NEURONS"):
                m.d.comb += listing.eq(1)
                with m.If(traces.done):
                    m.next = "BIASES"
                    with m.If(~self.no_observations):
                        m.next = "OBSERVATIONS"
            with m.State("OBSERVATIONS"):
                m.d.comb += observing.eq(1)
                with m.If(self.observations.valid & self.observations.ready & seen.last):
                    m.next = "BIASES"
            with m.State("BIASES"):
                m.d.comb += biasing.eq(1)
                with m.If(row_ready):
                    m.next = "DRAIN"
            with m.State("DRAIN"), m.If(emptied):
                m.d.comb += self.done.eq(1)
                m.next = "CLEAR"
        return m
