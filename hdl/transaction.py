"""What decisions and samples are asked for, and how they learn, in either mode (docs/architecture.md)."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl.eligibility import Eligibility
from hdl.engine import EventEngine
from hdl.lanes import LearningMultipliers, share_signature
from hdl.layouts import WORD, winner_bits
from hdl.memory import fetch_signature, write_signature
from hdl.mover import Mover
from hdl.observations import queued_observation
from hdl.options import CoreOptions

DECISION = data.StructLayout({"nonce": 64, "policy": 2, "given": 1, "activity": 1, "spikes": 1})
"""A decision to take; ``given`` and ``policy`` as in ``INFER``, ``activity``, ``spikes``: the results include them."""


def sample(config: DeviceConfig) -> data.StructLayout:
    """A sample to learn: ``rule``, ``modulator``, and in spike mode ``nonce`` as in ``LEARN``; ``counters``: they are
    wanted."""
    nonce = {"nonce": 64} if config.spikes else {}
    return data.StructLayout({"rule": 2, "modulator": signed(config.modulator_bits), "counters": 1, **nonce})


def transaction_signature(config: DeviceConfig, options: CoreOptions) -> wiring.Signature:
    """What takes decisions and samples.

    Members
    -------
    starts: In(stream of :data:`DECISION`), samples: In(stream of :func:`sample`), if the build learns; taken when the
        results of the decision before have been sent, and not both at once.
    observations: the entries of a :class:`hdl.observations.ObservationQueue`, which ``rewind`` starts;
        ``observation_count`` tells how many there are.
    given_group: Out; given_winner: In, in the same cycle: hidden winners that replace the draw; of a sample, its
        winners, the action being that of the last group.
    fetch: reads of the weights, as many row words at once as inference takes.
    acc_fetch, acc_write: Out; the accumulators, if the build learns.
    share: In(:func:`hdl.lanes.share_signature`), if the build learns; used while nothing is at work.
    learning: Out; the eligibility is at work, or wants to be.
    done: Out; one cycle when the results are complete: neither observations nor given winners are looked at any more.
    words: Out(stream of :data:`hdl.layouts.WORD`): the results as :class:`hdl.results.Results` sends them. The cycles
        among them count from the start to the last winner, whatever the flow of the words.
    """
    learning = {
        "samples": In(stream.Signature(sample(config))),
        "acc_fetch": Out(fetch_signature(config, Section.ACC)),
        "acc_write": Out(write_signature(config, Section.ACC)),
        "share": In(share_signature(config)),
        "learning": Out(1),
    }
    return wiring.Signature(
        {
            "starts": In(stream.Signature(DECISION)),
            "rewind": Out(1),
            "observation_count": In(range(config.inputs + 1)),
            "observations": In(stream.Signature(queued_observation(config))),
            "given_group": Out(range(config.groups + 1)),
            "given_winner": In(winner_bits(config)),
            "fetch": Out(fetch_signature(options.wide(config))),
            "done": Out(1),
            "words": Out(stream.Signature(WORD)),
            **(learning if options.learns else {}),
        }
    )


def learn_with(
    m: Module,
    owner: wiring.PureInterface,
    eligibility: Eligibility,
    engine: EventEngine,
    mover: Mover,
    modulator: Value,
    tracing: Signal,
) -> None:
    """Join an eligibility to what it works on while ``tracing`` is set; rule and winners are left to the caller.

    Parameters
    ----------
    owner: has the members of :func:`transaction_signature`, ``config`` and ``options``.
    """
    m.d.comb += owner.learning.eq(tracing | eligibility.busy)
    connect(m, eligibility.fetch, flipped(owner.acc_fetch))
    connect(m, eligibility.write, flipped(owner.acc_write))
    m.d.comb += [
        eligibility.starts.payload.modulator.eq(modulator),
        eligibility.peek_activity.eq(mover.peek_data),
        eligibility.peek_second.eq(mover.peek_second),
        eligibility.no_observations.eq(owner.observation_count == 0),
        eligibility.observations.payload.eq(owner.observations.payload),
    ]
    with m.If(tracing):
        m.d.comb += [
            mover.peek_address.eq(eligibility.peek_address),
            owner.given_group.eq(eligibility.winner_group),
            owner.rewind.eq(eligibility.rewind),
            eligibility.observations.valid.eq(owner.observations.valid),
            owner.observations.ready.eq(eligibility.observations.ready),
        ]
    # The multipliers: the update borrows them while nothing is at work.
    squares = owner.options.abilities.has_moments
    if owner.options.shared:
        borrowed = engine.share
    else:
        m.submodules.multipliers = multipliers = LearningMultipliers(owner.config, squares=squares)
        borrowed = multipliers.share
    own = eligibility.share
    m.d.comb += [
        borrowed.use.eq(own.use | owner.share.use),
        borrowed.square.eq(~tracing & owner.share.square),
    ]
    for lane, (columns, factors) in enumerate(zip(own.columns, own.factors, strict=True)):
        m.d.comb += [
            borrowed.columns[lane].eq(Mux(tracing, columns, owner.share.columns[lane]) if squares else columns),
            borrowed.factors[lane].eq(factors),
            own.products[lane].eq(borrowed.products[lane]),
            owner.share.products[lane].eq(borrowed.products[lane]),
        ]
