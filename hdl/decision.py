"""The network at work on a decision or a sample: ``INFER`` and ``LEARN`` (docs/numerics.md)."""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from golden.arguments import RULES
from golden.config import DeviceConfig
from golden.kernels import POLICY_CONDITIONAL, POLICY_GREEDY
from golden.protocol import COUNTERS, LEARN_COUNTERS, WORD_BITS
from hdl import clocks
from hdl.assign import Assigner
from hdl.draws import DrawStore
from hdl.eligibility import Eligibility
from hdl.engine import COUNTER_BITS, EventEngine
from hdl.layouts import Scan
from hdl.mover import Mover
from hdl.options import CoreOptions
from hdl.results import Results
from hdl.sampler import Sampler
from hdl.softmax import Softmax
from hdl.traces import follows
from hdl.transaction import DECISION, learn_with, sample, transaction_signature


def first_sampled_pass(config: DeviceConfig) -> int:
    """Number of the first pass that may be the last, counted from 1: winners of earlier ones are not drawn.

    From silence, the first pass is a fixed point only if every activity is rounded to 0.
    """
    always_moves = config.start == "silent" and max(config.group_size, config.actions) < 2 << config.activity_frac - 1
    return 2 if always_moves and config.iterations > 1 else 1


WORK = {
    "BIAS": {"biasing"},
    "OBSERVE": {"observing"},
    "PASSING": {"passing"},
    "EXPECTING": {"passing"},
    "CLAMPED PASSING": {"passing"},
    "ASSIGN UNIFORM": {"assigning"},
    "ASSIGN WINNERS": {"assigning", "jumping"},
    "ASSIGN ACTION": {"assigning", "jumping"},
    "ACTION": {"finishing"},
    "ELIGIBILITY": {"tracing"},
}
"""What is at work in the states of a decision; in the others, nothing is."""


class Decision(wiring.Component):
    """Event engine, softmax, mover and sampler at work on one decision, or sample, after the other.

    Golden twins: :func:`golden.kernels.infer_batch` and :func:`golden.plasticity.learn_batch`, to the bit, counters of
    events and row words included.

    Bias event and observations enter the potentials; passes follow each other until nothing changes. In a pass
    potentials flow through the softmax into the mover, whose events enter the potentials while the pass is still going
    on, and into the sampler, so that winners are there when the pass turns out to be the last. docs/architecture.md
    tells the life of a decision cycle by cycle and what it costs.

    A sample goes the same way without winners. Then, by the rule, the action group jumps to the action that was taken
    and the hidden groups settle again (contrastive), or the hidden groups jump to their winners and the action group is
    expected anew (conditional); in the end the eligibility enters the accumulators (:mod:`hdl.eligibility`).

    Parameters
    ----------
    config: the device.
    options: speed and area.

    Members
    -------
    Those of :func:`hdl.transaction.transaction_signature`.
    """

    def __init__(self, config: DeviceConfig, options: CoreOptions) -> None:
        self.config, self.options = config, options
        self._engine = EventEngine(
            options.wide(config),
            scan_lanes=options.softmax_lanes,
            learns=options.learns and options.shared,
            banked=options.banked,
            words=options.words,
        )
        self._draws = DrawStore(config, rounds_per_cycle=options.rounds_per_cycle)
        if options.learns:
            rules = options.abilities.rules
            self._eligibility = Eligibility(config, lanes=options.softmax_lanes, products=options.products, rules=rules)
        super().__init__(transaction_signature(config, options))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes, learns = self.config, self.options.softmax_lanes, self.options.learns
        m.submodules.engine = engine = self._engine
        m.submodules.softmax = softmax = Softmax(config, lanes=lanes, in_logic=self.options.in_logic)
        m.submodules.sampler = sampler = Sampler(config, lanes=lanes, in_logic=self.options.in_logic)
        m.submodules.mover = mover = Mover(config, lanes=lanes, learns=learns)
        m.submodules.assigner = assigner = Assigner(config, lanes=lanes)
        m.submodules.draws = draws = self._draws
        m.submodules.results = results = Results(config, lanes=lanes)
        connect(m, engine.beats, softmax.beats)
        connect(m, engine.fetch, flipped(self.fetch))
        connect(m, results.words, flipped(self.words))

        # It is asked for two cycles after the last observation came, and later.
        no_observations = Signal()
        m.d.sync += no_observations.eq(self.observation_count == 0)
        job = Signal(DECISION)
        conditional, greedy = job.policy == POLICY_CONDITIONAL, job.policy == POLICY_GREEDY
        # Of a sample: what to learn; a decision has the policy of its rule so far.
        learned: Value = C(0)
        # Whether the hidden groups jump to winners, and whether the moves of the last pass are events all the same.
        jumps = goes_on = conditional
        if learns:
            learned, lesson = Signal(name="learned"), Signal(sample(config))
            follow = {name: follows(self.options.abilities.rules, lesson.rule, name) for name in RULES}
            jumps = Mux(learned, follow["conditional"], conditional)
            goes_on = jumps | (learned & follow["contrastive"])
        # Passes of this phase, and of all.
        number, passes = Signal(range(max(config.iterations, config.clamp_iterations) + 1)), Signal(WORD_BITS)
        cycles = Signal(COUNTER_BITS)
        # What is at work: biases, observations, a pass on the results of the softmax, activities that are assigned
        # (those of a jump, or of a start), the action group alone, or the eligibility. They go far, so they are
        # registers.
        works = {
            name: Signal(name=name)
            for name in ("biasing", "observing", "passing", "assigning", "jumping", "finishing", "tracing")
        }
        biasing, observing, passing, assigning, jumping, finishing, tracing = works.values()

        def proceed(state: str) -> None:
            """Go on to a state, and to the work of it."""
            m.next = state
            m.d.sync += [work.eq(name in WORK.get(state, ())) for name, work in works.items()]

        # Whether the eligibility has begun; whether winners are drawn from this pass.
        started, drawing = Signal(), Signal()
        sampling = Signal()
        m.d.comb += sampling.eq(finishing | (passing & drawing))

        # --- events: biases and observations, or moves ---------------------------------------------------
        entry = self.observations.payload
        feed = Signal(engine.events.payload.shape())
        feed_valid = Signal()
        feeding = biasing | observing
        uniform = config.start == "uniform"
        first_scan = Scan.NONE if uniform else Scan.ALL
        m.d.comb += [
            engine.events.valid.eq(Mux(feeding, feed_valid, mover.events.valid)),
            engine.events.payload.eq(Mux(feeding, feed.as_value(), mover.events.payload.as_value())),
            mover.events.ready.eq(~feeding & engine.events.ready),
        ]
        with m.If(biasing):
            m.d.comb += [
                feed_valid.eq(1),
                feed.source.eq(config.sources),
                feed.value.eq(1 << config.drive_frac),
                feed.scan.eq(Mux(no_observations, first_scan, Scan.NONE)),
            ]
        with m.Else():
            m.d.comb += [
                feed_valid.eq(observing & self.observations.valid),
                feed.source.eq(config.neurons + entry.entry.index),
                feed.value.eq(entry.entry.value << config.drive_frac - config.obs_frac),
                feed.scan.eq(Mux(entry.last, first_scan, Scan.NONE)),
                self.observations.ready.eq(observing & engine.events.ready),
            ]

        # --- results of the softmax: to mover and sampler alike ---------------------------------------------
        beat = softmax.results
        mover_ready, sampler_ready = Signal(), Signal()
        m.d.comb += [
            mover_ready.eq(mover.beats.ready | ~passing),
            sampler_ready.eq(sampler.beats.ready | ~sampling),
            beat.ready.eq((passing | finishing) & mover_ready & sampler_ready),
            sampler.beats.valid.eq(beat.valid & sampling & mover_ready),
            sampler.beats.payload.eq(beat.payload),
        ]
        with m.If(assigning):
            m.d.comb += [
                mover.beats.valid.eq(assigner.beats.valid),
                mover.beats.payload.eq(assigner.beats.payload),
                assigner.beats.ready.eq(mover.beats.ready),
            ]
        with m.Else():
            m.d.comb += [
                mover.beats.valid.eq(beat.valid & passing & sampler_ready),
                mover.beats.payload.activity.eq(beat.payload.activity),
                mover.beats.payload.keep.eq(beat.payload.keep),
            ]

        # The groups of the results, for the probabilities of the action group; and those of choices and winners, which
        # lag behind.
        group = Signal(range(config.groups + 1))
        choice, winner = Signal.like(group), Signal.like(group)
        action_beat = Signal(results.probabilities.payload.beat.shape())

        def following(value: Signal) -> object:
            return Mux(value == config.groups, 0, value + 1)

        m.d.comb += [
            results.probabilities.valid.eq(beat.valid & beat.ready & (group == config.groups)),
            results.probabilities.payload.beat.eq(action_beat),
            results.probabilities.payload.probability.eq(beat.payload.probability),
            draws.group.eq(choice),
            sampler.choices.valid.eq(~learned & (greedy | draws.available)),
            sampler.choices.payload.draw.eq(draws.draw),
            sampler.choices.payload.greedy.eq(greedy),
            sampler.winners.ready.eq(1),
        ]
        with m.If(beat.valid & beat.ready):
            with m.If(beat.payload.last):
                m.d.sync += [group.eq(following(group)), action_beat.eq(0)]
            with m.Elif(group == config.groups):
                m.d.sync += action_beat.eq(action_beat + 1)
        with m.If(sampler.choices.valid & sampler.choices.ready):
            m.d.sync += choice.eq(following(choice))
        with m.If(sampler.winners.valid):
            m.d.sync += winner.eq(following(winner))

        # --- assigned activities: hidden winners of the conditional policy, or a uniform start -----------------
        assigned = Signal.like(group)
        set_to = assigner.groups.payload
        m.d.comb += [
            results.group.eq(assigned),
            self.given_group.eq(assigned),
            set_to.winner.eq(Mux(learned | job.given, self.given_winner, results.winner)),
            set_to.uniform.eq(~jumping),
            set_to.action.eq(assigned == config.groups),
        ]
        with m.If(assigning):
            m.d.comb += [
                assigner.groups.valid.eq(1),
                # Given winners are stored as if they had been drawn.
                results.winners.valid.eq(jumping & assigner.groups.ready),
                results.winners.payload.group.eq(assigned),
                results.winners.payload.winner.eq(set_to.winner),
            ]
            with m.If(assigner.groups.ready):
                m.d.sync += assigned.eq(following(assigned))
        with m.Else():
            m.d.comb += [
                results.winners.valid.eq(sampler.winners.valid),
                results.winners.payload.group.eq(winner),
                results.winners.payload.winner.eq(sampler.winners.payload),
            ]

        # --- the course of a decision ---------------------------------------------------------------------
        counters = {
            "events": engine.event_count,
            "row_words": engine.word_count,
            "cycles": cycles,
            "stalls": engine.stall_count,
        }
        m.d.comb += [
            results.counts.as_value().eq(Cat(passes, *(counters[name] for name in COUNTERS))),
            mover.peek_address.eq(results.peek_address),
            results.peek_data.eq(mover.peek_data),
            draws.nonces.payload.eq(self.starts.payload.nonce),
            results.sends.payload.activity.eq(job.activity),
            results.sends.payload.learned.eq(learned),
        ]
        if learns:
            eligibility = self._eligibility
            m.submodules.eligibility = clocks.within(clocks.LEARN, eligibility, platform)
            counters["learn_words"] = eligibility.word_count
            m.d.comb += [eligibility.starts.payload.rule.eq(lesson.rule), eligibility.winner.eq(self.given_winner)]
            learn_with(m, self, eligibility, engine, mover, lesson.modulator, tracing)
            with m.If(learned):
                m.d.comb += results.counts.as_value().eq(Cat(passes, *(counters[name] for name in LEARN_COUNTERS)))
        turn = mover.passes.payload
        changed = mover.outcomes.payload
        drawn = winner == choice
        m.d.sync += cycles.eq(cycles + 1)
        after_observations = "UNIFORM" if uniform else "PASS"
        with m.FSM():
            with m.State("IDLE"):
                begins = Signal()
                m.d.comb += [self.starts.ready.eq(results.sends.ready), begins.eq(self.starts.valid)]
                with m.If(self.starts.valid & self.starts.ready):
                    m.d.comb += draws.nonces.valid.eq(self.starts.payload.policy != POLICY_GREEDY)
                    m.d.sync += job.eq(self.starts.payload)
                if learns:
                    with m.If(self.starts.valid & self.starts.ready):
                        m.d.sync += learned.eq(0)
                    m.d.comb += [
                        self.samples.ready.eq(results.sends.ready),
                        begins.eq(self.starts.valid | self.samples.valid),
                    ]
                    with m.If(self.samples.valid & self.samples.ready):
                        m.d.sync += [lesson.eq(self.samples.payload), learned.eq(1)]
                with m.If(begins & results.sends.ready):
                    m.d.comb += self.rewind.eq(1)
                    m.d.sync += [value.eq(0) for value in (number, passes, cycles, group, choice, winner)]
                    proceed("BIAS")
                with m.Else():
                    m.d.sync += cycles.eq(cycles)
            with m.State("BIAS"), m.If(engine.events.ready):
                proceed("OBSERVE")
                with m.If(no_observations):
                    proceed(after_observations)
            with m.State("OBSERVE"), m.If(self.observations.valid & self.observations.ready & entry.last):
                proceed(after_observations)
            if uniform:
                with m.State("UNIFORM"):
                    m.d.comb += [mover.passes.valid.eq(1), turn.silent.eq(1), turn.scan.eq(Scan.ALL), turn.always.eq(1)]
                    proceed("ASSIGN UNIFORM")
                with m.State("ASSIGN UNIFORM"):
                    m.d.comb += mover.outcomes.ready.eq(1)
                    with m.If(mover.outcomes.valid):
                        m.d.sync += assigned.eq(0)
                        proceed("PASS")
            with m.State("PASS"):
                is_last, first = Signal(), first_sampled_pass(config)
                m.d.comb += [
                    is_last.eq(number == config.iterations - 1),
                    mover.passes.valid.eq(1),
                    turn.silent.eq((number == 0) & (not uniform)),
                    turn.quiet.eq(is_last & ~goes_on),
                    turn.scan.eq(Mux(is_last, Scan.NONE, Scan.ALL)),
                ]
                m.d.sync += [
                    number.eq(number + 1),
                    passes.eq(passes + 1),
                    drawing.eq(~learned & ((number >= first - 1) if first > 1 else 1)),
                ]
                proceed("PASSING")
            with m.State("PASSING"):
                m.d.comb += mover.outcomes.ready.eq(1)
                with m.If(mover.outcomes.valid):
                    with m.If(changed & (number != config.iterations)):
                        proceed("PASS")
                    with m.Elif(jumps):
                        proceed("JUMP")
                    if learns:
                        with m.Elif(learned & goes_on):
                            proceed("CLAMP")
                        with m.Elif(learned):
                            proceed("ELIGIBILITY")
                    with m.Else():
                        proceed("END")
            with m.State("JUMP"):
                m.d.comb += [
                    mover.passes.valid.eq(drawn),
                    turn.second.eq(1),
                    turn.hidden_only.eq(1),
                    turn.scan.eq(Scan.ACTION),
                    turn.always.eq(1),
                ]
                if learns:
                    m.d.comb += turn.departs.eq(1)
                with m.If(drawn):
                    m.d.sync += [value.eq(config.groups) for value in (group, choice, winner)]
                    proceed("ASSIGN WINNERS")
            with m.State("ASSIGN WINNERS"):
                m.d.comb += mover.outcomes.ready.eq(1)
                with m.If(mover.outcomes.valid):
                    m.d.sync += assigned.eq(0)
                    proceed("ACTION")
                    if learns:
                        with m.If(learned):
                            proceed("EXPECT")
            if learns:
                with m.State("EXPECT"):
                    # The action group's activity, given the hidden winners.
                    m.d.comb += [
                        mover.passes.valid.eq(1),
                        turn.second.eq(1),
                        turn.departs.eq(1),
                        turn.action_only.eq(1),
                        turn.quiet.eq(1),
                    ]
                    proceed("EXPECTING")
                with m.State("EXPECTING"):
                    m.d.comb += mover.outcomes.ready.eq(1)
                    with m.If(mover.outcomes.valid):
                        proceed("ELIGIBILITY")
                with m.State("CLAMP"):
                    m.d.comb += [
                        mover.passes.valid.eq(1),
                        turn.second.eq(1),
                        turn.departs.eq(1),
                        turn.action_only.eq(1),
                        turn.scan.eq(Scan.HIDDEN),
                        turn.always.eq(1),
                    ]
                    m.d.sync += [assigned.eq(config.groups), number.eq(0)]
                    proceed("ASSIGN ACTION")
                with m.State("ASSIGN ACTION"):
                    m.d.comb += mover.outcomes.ready.eq(1)
                    with m.If(mover.outcomes.valid):
                        m.d.sync += assigned.eq(0)
                        proceed("CLAMPED PASS")
                with m.State("CLAMPED PASS"):
                    is_last_clamped = number == config.clamp_iterations - 1
                    m.d.comb += [
                        mover.passes.valid.eq(1),
                        turn.second.eq(1),
                        turn.departs.eq(number == 0),
                        turn.hidden_only.eq(1),
                        turn.quiet.eq(is_last_clamped),
                        turn.scan.eq(Mux(is_last_clamped, Scan.NONE, Scan.HIDDEN)),
                    ]
                    m.d.sync += [number.eq(number + 1), passes.eq(passes + 1)]
                    proceed("CLAMPED PASSING")
                with m.State("CLAMPED PASSING"):
                    m.d.comb += mover.outcomes.ready.eq(1)
                    with m.If(mover.outcomes.valid):
                        proceed("ELIGIBILITY")
                        with m.If(changed & (number != config.clamp_iterations)):
                            proceed("CLAMPED PASS")
                with m.State("ELIGIBILITY"):
                    m.d.comb += eligibility.starts.valid.eq(~started)
                    with m.If(eligibility.starts.ready):
                        m.d.sync += started.eq(1)
                    with m.If(eligibility.done):
                        m.d.sync += started.eq(0)
                        proceed("LEARNED")
                with m.State("LEARNED"):
                    m.d.comb += [
                        results.sends.valid.eq(lesson.counters),
                        self.done.eq(1),
                    ]
                    proceed("IDLE")
            with m.State("ACTION"), m.If(beat.valid & beat.ready & beat.payload.last):
                proceed("END")
            with m.State("END"):
                m.d.comb += [
                    results.sends.valid.eq(drawn),
                    self.done.eq(drawn),
                ]
                with m.If(drawn):
                    proceed("IDLE")
        return m
