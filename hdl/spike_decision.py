"""The network at work on a decision or a sample in spike mode (docs/numerics.md, "Spikes")."""

from __future__ import annotations

from typing import Any

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from golden.config import DeviceConfig
from golden.kernels import POLICY_GREEDY
from golden.protocol import COUNTERS, LEARN_COUNTERS, WORD_BITS
from hdl import clocks
from hdl.assign import Assigner
from hdl.digits import DigitSplitter
from hdl.eligibility import Eligibility
from hdl.engine import COUNTER_BITS, EventEngine
from hdl.layouts import Scan
from hdl.mover import Mover
from hdl.observation_spikes import ObservationSpikes
from hdl.options import CoreOptions
from hdl.policy import PolicyMean
from hdl.results import Results
from hdl.sampler import Sampler
from hdl.shifter import SpikeShifter
from hdl.softmax import Softmax
from hdl.spike_draws import SpikeDraws
from hdl.traces import follows
from hdl.transaction import DECISION, learn_with, sample, transaction_signature


class SpikeDecision(wiring.Component):
    """Event engine, softmax, sampler and shifter at work, step after step, on one decision or sample after the other.

    Golden twins: :func:`golden.spikes.spike_batch` and :func:`golden.spike_learning.learn_spikes`, to the bit, counters
    of events and row words included.

    Bias event and observations enter the potentials. In each step potentials flow through the softmax into the sampler,
    a group's spike into the shifter, and its traces into the mover, whose events enter the potentials while the step is
    still going on; those of spiking observations enter before them. The spikes of the last step of a decision are noted
    only; the mean policy of the last window passes through the sampler once more for the action.

    A sample goes the same way without an action. By the published rule, each of the last steps stops when its spikes
    have been drawn and the activities of the softmax stored beside the traces, for the eligibility to enter the
    accumulators. By the contrastive rule the action group is clamped in the end, and the hidden groups go on for a
    window before it does.

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
        self.rules = options.abilities.within(config).rules
        random: dict[str, Any] = {"rounds_per_cycle": options.rounds_per_cycle, "pipelined": options.pipelined}
        self._engine = EventEngine(
            config,
            scan_lanes=options.softmax_lanes,
            learns=options.learns and options.shared,
            banked=options.banked,
        )
        self._draws = SpikeDraws(config, **random)
        self._observed = ObservationSpikes(config, **random) if config.obs_spikes == "bernoulli" else None
        if options.learns:
            self._eligibility = Eligibility(
                config, lanes=options.softmax_lanes, products=options.products, rules=self.rules
            )
        super().__init__(transaction_signature(config, options))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes, learns = self.config, self.options.softmax_lanes, self.options.learns
        m.submodules.engine = engine = self._engine
        m.submodules.digits = digits = DigitSplitter(config)
        m.submodules.softmax = softmax = Softmax(config, lanes=lanes, in_logic=self.options.in_logic)
        m.submodules.sampler = sampler = Sampler(config, lanes=lanes, in_logic=self.options.in_logic)
        m.submodules.shifter = shifter = SpikeShifter(config, lanes=lanes)
        m.submodules.mover = mover = Mover(config, lanes=lanes, learns=learns)
        m.submodules.draws = draws = self._draws
        m.submodules.policy = policy = PolicyMean(config, lanes=lanes)
        m.submodules.results = results = Results(config, lanes=lanes)
        connect(m, engine.beats, softmax.beats)
        connect(m, engine.fetch, flipped(self.fetch))
        connect(m, digits.digits, engine.events)
        connect(m, results.words, flipped(self.words))

        no_observations = self.observation_count == 0
        job = Signal(DECISION)
        greedy = job.policy == POLICY_GREEDY
        # Of a sample: what to learn.
        learned: Value = C(0)
        contrastive = published = learned
        if learns:
            learned, lesson = Signal(name="learned"), Signal(sample(config))
            contrastive, published = (
                learned & follows(self.rules, lesson.rule, name) for name in ("contrastive", "published")
            )
        # Time step of this phase, and steps in all.
        step, passes = Signal(range(config.steps + 1)), Signal(WORD_BITS)
        cycles = Signal(COUNTER_BITS)
        is_final = step == config.steps - 1
        in_window = step >= config.steps - config.window if config.steps > config.window else C(1)
        # What is at work: biases, observations that are held constant, the request of the first potentials; the spikes
        # of a step; the action.
        biasing, spiking, acting = (Signal(name=name) for name in ("biasing", "spiking", "acting"))
        observing = Signal(name="observing") if self._observed is None else C(0)
        asking = C(0) if self._observed is None else Signal(name="asking")
        # The activities of the softmax and spikes for later, those spikes once more; a clamp.
        expects, clamps = (learns and name in self.rules for name in ("published", "contrastive"))
        expecting, replaying = (Signal(name=name) if expects else C(0) for name in ("expecting", "replaying"))
        assigning = Signal(name="assigning") if clamps else C(0)
        # The eligibility at work; its start.
        tracing, started = (Signal(name=name) if learns else C(0) for name in ("tracing", "started"))

        # --- events: biases and observations, or moves ---------------------------------------------------
        entry, events = self.observations.payload, digits.whole
        feed = Signal(events.payload.shape())
        feeding, feed_valid = Signal(), Signal()
        m.d.comb += [
            events.valid.eq(Mux(feeding, feed_valid, mover.events.valid)),
            events.payload.eq(Mux(feeding, feed.as_value(), mover.events.payload.as_value())),
            mover.events.ready.eq(~feeding & events.ready),
        ]
        first_scan: Value = Mux(no_observations, Scan.ALL, Scan.NONE) if self._observed is None else C(Scan.NONE, 2)
        if self._observed is not None:
            m.submodules.observed = observed = self._observed
            m.d.comb += [
                observed.count.eq(self.observation_count),
                observed.observations.payload.eq(entry),
                observed.observations.valid.eq(self.observations.valid),
                self.observations.ready.eq(observed.observations.ready),
                self.rewind.eq(observed.rewind),
            ]
        with m.If(biasing):
            m.d.comb += [
                feeding.eq(1),
                feed_valid.eq(1),
                feed.source.eq(config.sources),
                feed.value.eq(1 << config.drive_frac),
                feed.scan.eq(first_scan),
            ]
        if self._observed is None:
            with m.Elif(observing):
                m.d.comb += [
                    feeding.eq(1),
                    feed_valid.eq(self.observations.valid),
                    feed.source.eq(config.neurons + entry.entry.index),
                    feed.value.eq(entry.entry.value << config.drive_frac - config.obs_frac),
                    feed.scan.eq(Mux(entry.last, Scan.ALL, Scan.NONE)),
                    self.observations.ready.eq(events.ready),
                ]
        else:
            with m.Elif(asking):
                m.d.comb += [feeding.eq(1), feed_valid.eq(1), feed.scan.eq(Scan.ALL)]
            # Their events come before those of the groups, behind which potentials are asked for.
            with m.Elif(observed.busy):
                m.d.comb += [
                    feeding.eq(1),
                    feed_valid.eq(observed.events.valid),
                    feed.eq(observed.events.payload),
                    observed.events.ready.eq(events.ready),
                ]

        # --- results of the softmax: to the sampler, and as activities to the mover ------------------------------
        beat = softmax.results
        group, winner = (Signal(range(config.groups + 1), name=name) for name in ("group", "winner"))
        mover_ready = mover.beats.ready | ~expecting
        takes = spiking | expecting
        with m.If(acting):
            m.d.comb += [
                sampler.beats.valid.eq(policy.means.valid),
                sampler.beats.payload.eq(policy.means.payload),
                policy.means.ready.eq(sampler.beats.ready),
            ]
        with m.Else():
            m.d.comb += [
                sampler.beats.valid.eq(beat.valid & takes & mover_ready),
                sampler.beats.payload.eq(beat.payload),
                beat.ready.eq(takes & sampler.beats.ready & mover_ready),
            ]
        taken = beat.valid & beat.ready
        is_action = group == config.groups
        m.d.comb += [
            policy.beats.valid.eq(taken & is_action & in_window & ~learned),
            policy.beats.payload.probability.eq(beat.payload.probability),
            policy.beats.payload.last.eq(beat.payload.last),
            policy.beats.payload.first.eq(step == config.steps - config.window),
            policy.beats.payload.final.eq(is_final),
        ]
        with m.If(taken & beat.payload.last):
            m.d.sync += group.eq(group + 1)

        # --- spikes ------------------------------------------------------------------------------------------------
        chosen = acting & greedy
        m.d.comb += [
            sampler.choices.valid.eq(draws.draws.valid | chosen),
            sampler.choices.payload.draw.eq(draws.draws.payload),
            sampler.choices.payload.greedy.eq(chosen),
            draws.draws.ready.eq(sampler.choices.ready & ~chosen),
            shifter.before.eq(mover.before),
            results.winners.valid.eq(sampler.winners.valid & sampler.winners.ready),
            results.winners.payload.group.eq(winner),
            results.winners.payload.winner.eq(sampler.winners.payload),
            results.group.eq(winner),
            shifter.peek_address.eq(results.spike_address),
            results.spike.eq(shifter.peek_spike),
        ]
        with m.If(spiking):
            m.d.comb += [
                shifter.spikes.valid.eq(sampler.winners.valid),
                shifter.spikes.payload.eq(sampler.winners.payload),
                sampler.winners.ready.eq(shifter.spikes.ready),
            ]
        with m.Else():
            m.d.comb += sampler.winners.ready.eq(1)
        if expects:
            with m.If(replaying):
                m.d.comb += [shifter.spikes.valid.eq(1), shifter.spikes.payload.eq(results.winner)]
                with m.If(shifter.spikes.ready):
                    m.d.sync += winner.eq(winner + 1)
        with m.If(sampler.winners.valid & sampler.winners.ready):
            m.d.sync += winner.eq(winner + 1)
        # All groups' spikes of an expected step have been stored.
        drawn = Signal()
        with m.If(sampler.winners.valid & sampler.winners.ready & (winner == config.groups)):
            m.d.sync += drawn.eq(1)

        # --- the mean policy -------------------------------------------------------------------------------------
        mean_beat = Signal(results.probabilities.payload.beat.shape())
        m.d.comb += [
            results.probabilities.valid.eq(policy.means.valid & policy.means.ready),
            results.probabilities.payload.beat.eq(mean_beat),
            results.probabilities.payload.probability.eq(policy.means.payload.probability),
        ]
        with m.If(results.probabilities.valid):
            m.d.sync += mean_beat.eq(Mux(policy.means.payload.last, 0, mean_beat + 1))

        # --- activities of the mover -------------------------------------------------------------------------------
        with m.If(~expecting & ~assigning):
            m.d.comb += [
                mover.beats.valid.eq(shifter.beats.valid),
                mover.beats.payload.eq(shifter.beats.payload),
                shifter.beats.ready.eq(mover.beats.ready),
            ]
        if expects:
            with m.If(expecting):
                m.d.comb += [
                    mover.beats.valid.eq(beat.valid & sampler.beats.ready),
                    mover.beats.payload.activity.eq(beat.payload.activity),
                    mover.beats.payload.keep.eq(beat.payload.keep),
                ]

        if clamps:
            m.submodules.assigner = assigner = Assigner(config, lanes=lanes)
            m.d.comb += [
                assigner.groups.payload.winner.eq(self.given_winner),
                assigner.groups.payload.action.eq(1),
            ]
            with m.If(assigning):
                m.d.comb += [
                    assigner.groups.valid.eq(1),
                    self.given_group.eq(config.groups),
                    mover.beats.valid.eq(assigner.beats.valid),
                    mover.beats.payload.eq(assigner.beats.payload),
                    assigner.beats.ready.eq(mover.beats.ready),
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
            # A decision of one step ends before any spike has entered.
            results.peek_data.eq(mover.peek_data if config.steps > 1 else 0),
            results.sends.payload.activity.eq(job.activity),
            results.sends.payload.spikes.eq(job.spikes),
            results.sends.payload.learned.eq(learned),
        ]
        if learns:
            eligibility = self._eligibility
            m.submodules.eligibility = clocks.within(clocks.LEARN, eligibility, platform)
            counters["learn_words"] = eligibility.word_count
            is_own_action = eligibility.winner_group == config.groups
            m.d.comb += [
                eligibility.starts.payload.rule.eq(lesson.rule),
                eligibility.starts.payload.more.eq(published & (step != config.steps - config.window)),
                eligibility.winner.eq(Mux(is_own_action, self.given_winner, results.winner)),
            ]
            learn_with(m, self, eligibility, engine, mover, lesson.modulator, tracing)
            if config.steps == config.window:
                # Nor has any in the first step; the store holds what another decision has left.
                with m.If(published & (step == 0)):
                    m.d.comb += eligibility.peek_activity.eq(0)
            with m.If(learned):
                m.d.comb += results.counts.as_value().eq(Cat(passes, *(counters[name] for name in LEARN_COUNTERS)))
            with m.If(tracing):
                m.d.comb += results.group.eq(eligibility.winner_group)
        turn, shift, phase = mover.passes.payload, shifter.steps.payload, draws.phases.payload
        m.d.sync += cycles.eq(cycles + 1)

        def begin_step() -> None:
            """Counters of groups start again."""
            m.d.sync += [*(value.eq(0) for value in (group, winner)), drawn.eq(0)]

        with m.FSM():
            with m.State("IDLE"):
                begins, nonce = Signal(), Signal(64)
                m.d.comb += [
                    self.starts.ready.eq(results.sends.ready),
                    begins.eq(self.starts.valid),
                    nonce.eq(self.starts.payload.nonce),
                    phase.acts.eq(self.starts.payload.policy != POLICY_GREEDY),
                ]
                with m.If(self.starts.valid & self.starts.ready):
                    m.d.sync += job.eq(self.starts.payload)
                if learns:
                    with m.If(self.starts.valid & self.starts.ready):
                        m.d.sync += learned.eq(0)
                    m.d.comb += [
                        self.samples.ready.eq(results.sends.ready),
                        begins.eq(self.starts.valid | self.samples.valid),
                    ]
                    with m.If(self.samples.valid):
                        m.d.comb += [nonce.eq(self.samples.payload.nonce), phase.acts.eq(0)]
                        with m.If(self.samples.ready):
                            m.d.sync += [lesson.eq(self.samples.payload), learned.eq(1)]
                m.d.comb += phase.nonce.eq(nonce)
                with m.If(begins & results.sends.ready):
                    m.d.comb += draws.phases.valid.eq(1)
                    if self._observed is None:
                        m.d.comb += self.rewind.eq(1)
                    else:
                        m.d.comb += [observed.start.eq(1), observed.nonce.eq(nonce)]
                    m.d.sync += [value.eq(0) for value in (step, passes, cycles)]
                    m.next = "BIAS"
                with m.Else():
                    m.d.sync += cycles.eq(cycles)
            with m.State("BIAS"):
                m.d.comb += biasing.eq(1)
                with m.If(events.ready):
                    if self._observed is None:
                        m.next = "OBSERVE"
                        with m.If(no_observations):
                            m.next = "STEP"
                    else:
                        m.next = "FILL"
            if self._observed is None:
                with m.State("OBSERVE"):
                    m.d.comb += observing.eq(1)
                    with m.If(self.observations.valid & self.observations.ready & entry.last):
                        m.next = "STEP"
            else:
                with m.State("FILL"), m.If(~observed.busy):
                    m.next = "ASK"
                with m.State("ASK"):
                    m.d.comb += asking.eq(1)
                    with m.If(events.ready):
                        m.next = "STEP"
            with m.State("STEP"):
                begin_step()
                m.d.sync += passes.eq(passes + 1)
                m.next = "ENTER"
                with m.If(is_final & ~learned):
                    m.d.comb += [shifter.steps.valid.eq(1), shift.first.eq(step == 0), shift.still.eq(1)]
                    m.next = "NOTE"
                if expects:
                    with m.Elif(published & in_window):
                        m.d.comb += [mover.passes.valid.eq(1), turn.second.eq(1), turn.quiet.eq(1)]
                        m.next = "EXPECT"
            with m.State("ENTER"):
                m.d.comb += [
                    mover.passes.valid.eq(1),
                    turn.silent.eq(step == 0),
                    turn.always.eq(1),
                    turn.scan.eq(Mux(is_final, Scan.NONE, Scan.ALL)),
                    shifter.steps.valid.eq(1),
                    shift.first.eq(step == 0),
                ]
                if self._observed is not None:
                    m.d.comb += observed.step.eq(~is_final)
                m.next = "ENTERING"
            with m.State("ENTERING"):
                m.d.comb += [spiking.eq(1), mover.outcomes.ready.eq(1)]
                if expects:
                    m.d.comb += [spiking.eq(~(published & in_window)), replaying.eq(published & in_window)]
                with m.If(mover.outcomes.valid):
                    m.d.sync += step.eq(step + 1)
                    m.next = "STEP"
                    if learns:
                        with m.If(is_final):
                            m.d.sync += step.eq(0)
                            m.next = "CLAMP" if clamps else "DRAIN"
                            if clamps:
                                with m.If(~contrastive):
                                    m.next = "DRAIN"
            if expects:
                with m.State("EXPECT"):
                    m.d.comb += [expecting.eq(1), mover.outcomes.ready.eq(drawn)]
                    with m.If(mover.outcomes.valid & drawn):
                        m.next = "TRACE"
                with m.State("TRACE"):
                    m.d.comb += [tracing.eq(1), eligibility.starts.valid.eq(~started)]
                    m.d.sync += winner.eq(0)
                    with m.If(eligibility.starts.ready):
                        m.d.sync += started.eq(1)
                    with m.If(eligibility.done):
                        m.d.sync += started.eq(0)
                        m.next = "ENTER"
            if clamps:
                with m.State("CLAMP"):
                    m.d.comb += [
                        mover.passes.valid.eq(1),
                        turn.second.eq(1),
                        turn.departs.eq(1),
                        turn.action_only.eq(1),
                        turn.scan.eq(Scan.HIDDEN),
                        turn.always.eq(1),
                        draws.phases.valid.eq(1),
                        phase.nonce.eq(lesson.nonce),
                        phase.clamped.eq(1),
                    ]
                    m.next = "CLAMPING"
                with m.State("CLAMPING"):
                    m.d.comb += [assigning.eq(1), mover.outcomes.ready.eq(1)]
                    with m.If(mover.outcomes.valid):
                        m.next = "CLAMPED STEP"
                with m.State("CLAMPED STEP"):
                    begin_step()
                    m.d.comb += [
                        mover.passes.valid.eq(1),
                        turn.second.eq(1),
                        turn.departs.eq(step == 0),
                        turn.hidden_only.eq(1),
                        turn.always.eq(1),
                        turn.scan.eq(Mux(step == config.window - 1, Scan.NONE, Scan.HIDDEN)),
                        shifter.steps.valid.eq(1),
                        shift.departs.eq(step == 0),
                        shift.clamped.eq(1),
                    ]
                    m.d.sync += [step.eq(step + 1), passes.eq(passes + 1)]
                    m.next = "CLAMPED ENTERING"
                with m.State("CLAMPED ENTERING"):
                    m.d.comb += [spiking.eq(1), mover.outcomes.ready.eq(1)]
                    with m.If(mover.outcomes.valid):
                        m.next = "CLAMPED STEP"
                        with m.If(step == config.window):
                            m.next = "DRAIN"
                with m.State("ELIGIBILITY"):
                    m.d.comb += [tracing.eq(1), eligibility.starts.valid.eq(~started)]
                    with m.If(eligibility.starts.ready):
                        m.d.sync += started.eq(1)
                    with m.If(eligibility.done):
                        m.d.sync += started.eq(0)
                        m.next = "LEARNED"
            if learns:
                # Before the last events have passed through them, the multipliers are not free, nor counters final.
                with m.State("DRAIN"), m.If(digits.idle & engine.idle):
                    m.next = "ELIGIBILITY" if clamps else "LEARNED"
                    if clamps:
                        with m.If(~contrastive):
                            m.next = "LEARNED"
                with m.State("LEARNED"):
                    m.d.comb += [results.sends.valid.eq(lesson.counters), self.done.eq(1)]
                    m.next = "IDLE"
            with m.State("NOTE"):
                m.d.comb += spiking.eq(1)
                with m.If(shifter.steps.ready):
                    m.d.sync += [winner.eq(config.groups), drawn.eq(0)]
                    m.next = "ACT"
            with m.State("ACT"):
                m.d.comb += acting.eq(1)
                with m.If(drawn):
                    m.d.comb += [results.sends.valid.eq(1), self.done.eq(1)]
                    m.next = "IDLE"
        return m
