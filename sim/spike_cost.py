"""What a decision costs in spike mode: bounds on the cycles of the core (docs/architecture.md, "Spike mode")."""

from __future__ import annotations

import math
from dataclasses import dataclass

from golden.config import DeviceConfig
from golden.rng import DRAWS_PER_BLOCK
from golden.spikes import BLOCK_BITS, observation_draw_bits
from hdl.digits import DigitSplitter
from hdl.engine import engine_latency
from hdl.layouts import all_beats
from hdl.mover import Mover
from hdl.options import CoreOptions
from hdl.policy import policy_latency
from hdl.rng import DrawPipeline, generator_latency
from hdl.sampler import Sampler
from hdl.softmax import softmax_latency

WALK = 3
"""Cycles of a walk through the observations beside those that each takes."""


@dataclass(frozen=True)
class SpikeLatencies:
    """What a decision costs beside its row words, in cycles.

    Attributes
    ----------
    start: from the start of a decision to the first row word of the biases, that cycle left out.
    turn: between the last row word before a step and the first that its spikes can cause.
    spread: between the first and the last spike of a step, nothing in the way.
    end: from the last row word before the last step to the end of the decision.
    """

    start: int
    turn: int
    spread: int
    end: int


def spike_latencies(config: DeviceConfig, options: CoreOptions) -> SpikeLatencies:
    """The latencies of a build. A group of b beats spends b - 1 cycles more in each stage that needs all of it."""
    lanes = options.softmax_lanes
    hidden, action = math.ceil(config.group_size / lanes), math.ceil(config.actions / lanes)
    # From the last row word to the first potentials in the softmax; the event was taken a cycle before the word.
    first_beat = engine_latency(config, options.banked) - 1
    first_spike = first_beat + softmax_latency(lanes) + 3 * (hidden - 1) + Sampler.latency
    spread = all_beats(config, lanes) - hidden + 2 * max(0, action - hidden)
    return SpikeLatencies(
        start=1 + DigitSplitter.latency,
        turn=first_spike + Mover.latency + DigitSplitter.latency,
        spread=spread,
        # Beside the last spike the mean policy goes through its survey and the sampler.
        end=first_spike + spread - Sampler.latency + policy_latency(config) + action - 1 + Sampler.latency + 1,
    )


def spike_bound(config: DeviceConfig, options: CoreOptions, row_words: int) -> int:
    """The fewest cycles in which a decision can be made: its row words and the latencies that nothing hides.

    Parameters
    ----------
    config, options: the build.
    row_words: of the decision, as golden counts them.
    """
    known = spike_latencies(config, options)
    steps = (config.steps - 1) * known.turn
    # Spikes of observations enter while the network waits for those of its groups.
    work = max(row_words, steps) if config.obs_spikes == "bernoulli" else row_words + steps
    return known.start + config.row_words + work + known.end


def spike_ceiling(config: DeviceConfig, options: CoreOptions, row_words: int, policy: str = "sample") -> int:
    """The most cycles that a decision can take: as if in every step the last group alone had something to move.

    Parameters
    ----------
    config, options, row_words: as for :func:`spike_bound`.
    policy: of the decision.
    """
    known, lanes = spike_latencies(config, options), options.softmax_lanes
    block = 1 if options.pipelined else generator_latency(options.rounds_per_cycle)
    blocks = math.ceil((config.groups + 1) / DRAWS_PER_BLOCK)
    # A step's draws are made while the one before is at work; the first step's, and the action's, are waited for.
    latency = DrawPipeline.latency if options.pipelined else block
    late = max(0, blocks * block - known.turn)
    cycles = spike_bound(config, options, row_words)
    cycles += (config.steps - 1) * (known.spread + engine_latency(config, options.banked) + late)
    cycles += blocks * block + latency + (block if policy != "greedy" else 0)
    # Beats in which a group loses one neuron and wins another wait for both.
    cycles += config.steps * math.ceil(config.group_size / lanes)
    if config.obs_spikes == "bernoulli":
        draws = math.ceil(config.inputs / (BLOCK_BITS // observation_draw_bits(config.obs_frac)))
        walk = max(config.inputs, draws * block) + WALK
        cycles += (config.window + config.steps) * walk + config.inputs + WALK + latency
    return cycles
