"""Spiking inference of the device, one sample at a time, as compiled integer loops (docs/numerics.md, "Spikes").

In every time step each group emits one spike. The trace of a neuron, the share of its spikes in the last ``window``
steps, takes the place that the activity has in rate mode: a spike that enters or leaves the window is a move, hence an
event of one fixed value. Values of events are powers of two, up to the sign, so that hardware multiplies nothing; any
other value enters digit by digit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.compiled import compiled, inlined
from golden.kernels import (
    ACTION,
    HIDDEN,
    OBSERVATION,
    POLICY_GREEDY,
    Constants,
    Ints,
    add_event,
    draw_winner,
    exponentials,
    normalise,
    reciprocal,
)
from golden.rng import STREAM_OBS, STREAM_SPIKES, STREAM_WINNERS, draw_into, first_draw, threefry2x32

OBS_DRAW_BITS = 8
"""Random bits per spike of an observation neuron; twice as many where observations have more fraction bits."""

BLOCK_BITS = 64


class Phase(NamedTuple):
    """What a phase works on.

    Parameters
    ----------
    trace: (N,), traces with ``activity_frac`` fraction bits.
    history: (window, G+1), the winners of the last steps, step t in row t modulo the window.
    winners: (G+1,), of the present step.
    terms, totals: (N,), (G+1,), of its softmax.
    draws: (G+1,), its random numbers.
    policy: (A,), sum of the action probabilities of the last ``window`` steps.
    counted: events and row words.
    """

    trace: Ints
    history: Ints
    winners: Ints
    terms: Ints
    totals: Ints
    draws: Ints
    policy: Ints
    counted: Ints


def new_phase(c: Constants) -> Phase:
    """Room for a phase."""
    groups, actions = c.groups + 1, c.neurons - c.hidden
    sizes = (c.neurons, (c.window, groups), groups, c.neurons, groups, groups, actions, 2)
    return Phase(*(np.zeros(size, dtype=np.int64) for size in sizes))


class Shown(NamedTuple):
    """The observation neurons that are not silent.

    Parameters
    ----------
    neuron, value: (n,), their numbers and raw observations.
    spike: (n,), whether they spike in the present step; Bernoulli observations only.
    recent: (n,), their spikes in the window as bits, the newest lowest.
    """

    neuron: Ints
    value: Ints
    spike: Ints
    recent: NDArray[np.uint64]


@inlined
def shown(obs):  # type: ignore[no-untyped-def]
    """:class:`Shown` of observations (S,)."""
    neuron = np.flatnonzero(obs)
    return Shown(neuron, obs[neuron].astype(np.int64), np.zeros_like(neuron), np.zeros(neuron.size, dtype=np.uint64))


@inlined
def observation_draw_bits(obs_frac):  # type: ignore[no-untyped-def]
    """Random bits per spike of an observation neuron."""
    return OBS_DRAW_BITS if obs_frac <= OBS_DRAW_BITS else 2 * OBS_DRAW_BITS


@compiled
def spike_observations(c, shown, nonce, step):  # type: ignore[no-untyped-def]
    """Bernoulli spikes of the observations.

    ``step`` counts from the first one of the window that is filled before the decision begins.
    """
    bits = observation_draw_bits(c.obs_frac)
    per_block = BLOCK_BITS // bits
    key = np.uint64(nonce)
    first = step * ((shown.neuron.size + per_block - 1) // per_block)
    x0 = x1 = np.uint64(0)
    for k in range(shown.neuron.size):
        place = k % per_block
        if place == 0:
            counter = np.uint64(first + k // per_block)
            x0, x1 = threefry2x32(key & np.uint64(0xFFFFFFFF), key >> np.uint64(32), counter, np.uint64(STREAM_OBS))
        word = x0 if 2 * place < per_block else x1
        draw = np.int64(word >> np.uint64(place % (per_block // 2) * bits)) & ((1 << bits) - 1)
        shown.spike[k] = draw < shown.value[k] << (bits - c.obs_frac)


@inlined
def digits(value):  # type: ignore[no-untyped-def]
    """Non-zero digits of a value in non-adjacent form: powers of two, added or subtracted, that it is made of."""
    size = np.int64(abs(value))
    changes = size ^ (3 * size)
    count = np.int64(0)
    while changes:
        changes &= changes - 1
        count += 1
    return count


@inlined
def enter_value(c, weight, potential, phase, source, kind, value):  # type: ignore[no-untyped-def]
    """A value enters the potentials that a source of some class reaches: an event for each of its digits."""
    low, high = c.spans[kind]
    if low < high:
        # All digits at once, which is the same sum.
        add_event(potential, weight, source, value, low, high)
        count = digits(value)
        phase.counted[0] += count
        phase.counted[1] += count * c.span_words[kind]


@compiled
def begin(c, weight, bias, obs, nonce, potential, phase, shown):  # type: ignore[no-untyped-def]
    """Biases and observations enter the potentials; Bernoulli observations have been spiking for a whole window."""
    for j in range(c.neurons):
        potential[j] = np.int64(bias[j]) << c.drive_frac
        phase.trace[j] = 0
    phase.counted[:] = 0
    if c.bernoulli:
        values = np.zeros_like(shown.value)
        for step in range(c.window):
            spike_observations(c, shown, nonce, step)
            for k in range(values.size):
                values[k] += shown.spike[k] << (c.drive_frac - c.window_bits)
                shown.recent[k] = shown.recent[k] << np.uint64(1) | np.uint64(shown.spike[k])
    else:
        values = shown.value << c.obs_shift
    for k in range(values.size):
        enter_value(c, weight, potential, phase, c.neurons + shown.neuron[k], OBSERVATION, values[k])


@inlined
def shift_trace(c, weight, potential, phase, neuron, amount):  # type: ignore[no-untyped-def]
    """The trace of a neuron changes by an amount."""
    phase.trace[neuron] += amount
    kind = HIDDEN if neuron < c.hidden else ACTION
    enter_value(c, weight, potential, phase, neuron, kind, (2 * amount) << c.activity_shift)


@compiled
def fire(c, potential, nonce, step, groups, phase):  # type: ignore[no-untyped-def]
    """One spike from each of the first ``groups`` groups, drawn from the softmax of the potentials."""
    draw_into(phase.draws, nonce, STREAM_SPIKES, first_draw(step, c.groups + 1))
    for group in range(groups):
        low, high = c.group_start[group], c.group_start[group + 1]
        phase.totals[group] = exponentials(c, potential, low, high, phase.terms)
        phase.winners[group] = draw_winner(phase.terms, low, high, phase.totals[group], phase.draws[group]) - low


@compiled
def enter(c, weight, potential, step, groups, phase):  # type: ignore[no-untyped-def]
    """The spikes of a step enter the windows of the first ``groups`` groups, those that are too old leave.

    The very first spike of a group counts as if it had been sent throughout the window before.
    """
    slot = step % c.window
    one = np.int64(1) << (c.activity_frac - c.window_bits)
    for group in range(groups):
        first, old, new = c.group_start[group], phase.history[slot, group], phase.winners[group]
        if step == 0:
            phase.history[:, group] = new
            shift_trace(c, weight, potential, phase, first + new, one << c.window_bits)
        elif old != new:
            phase.history[slot, group] = new
            shift_trace(c, weight, potential, phase, first + old, -one)
            shift_trace(c, weight, potential, phase, first + new, one)


@compiled
def enter_observations(c, weight, nonce, potential, step, phase, shown):  # type: ignore[no-untyped-def]
    """The same for Bernoulli observations."""
    low, high = c.spans[OBSERVATION]
    if not c.bernoulli or low == high:
        return
    spike_observations(c, shown, nonce, c.window + step)
    unit = np.int64(1) << (c.drive_frac - c.window_bits)
    for k in range(shown.neuron.size):
        change = shown.spike[k] - np.int64(shown.recent[k] >> np.uint64(c.window - 1) & np.uint64(1))
        shown.recent[k] = shown.recent[k] << np.uint64(1) | np.uint64(shown.spike[k])
        if change != 0:
            enter_value(c, weight, potential, phase, c.neurons + shown.neuron[k], OBSERVATION, change * unit)


@compiled
def observation_spikes(c, obs, nonce, steps):  # type: ignore[no-untyped-def]
    """Bernoulli spikes of raw observations (B, S) in the first steps, the window before the decision included.

    Returns int64 (steps, B, S).
    """
    spikes = np.zeros((steps, *obs.shape), dtype=np.int64)
    for b in range(obs.shape[0]):
        seen = shown(obs[b])
        for step in range(steps):
            spike_observations(c, seen, nonce[b], step)
            for k in range(seen.neuron.size):
                spikes[step, b, seen.neuron[k]] = seen.spike[k]
    return spikes


def windowed_observations(c: Constants, obs: Observations, nonce: NDArray[np.uint64]) -> Ints:
    """Bernoulli spikes in the window before each step of raw observations (B, S), int64 (steps, B, S)."""
    spikes = observation_spikes(c, obs, nonce, c.window + c.steps - 1)
    total = np.cumsum(np.concatenate([np.zeros_like(spikes[:1]), spikes]), axis=0)
    return total[c.window :] - total[: -c.window]


@inlined
def add_policy(c, phase):  # type: ignore[no-untyped-def]
    """Add the action probabilities of the present step to those of the last ones."""
    r, exponent = reciprocal(c, phase.totals[c.groups])
    for a in range(phase.policy.size):
        phase.policy[a] += normalise(phase.terms[c.hidden + a], r, exponent, c.prob_frac)


@compiled
def spike_batch(  # type: ignore[no-untyped-def]
    c, phase, potential, weight, bias, obs, nonce, policy,
    winners, prob, q_out, steps_out, events_out, words_out, spikes_out,
):  # fmt: skip
    """``INFER`` in spike mode for every row; see :meth:`golden.device.Device.infer`."""
    half = np.int64(1) << c.window_bits >> 1
    for b in range(obs.shape[0]):
        seen = shown(obs[b])
        begin(c, weight, bias, obs[b], nonce[b], potential, phase, seen)
        phase.policy[:] = 0
        for step in range(c.steps):
            fire(c, potential, nonce[b], step, c.groups + 1, phase)
            for group in range(c.groups + 1):
                spikes_out[b, step, group] = phase.winners[group]
            if step >= c.steps - c.window:
                add_policy(c, phase)
            if step < c.steps - 1:
                enter(c, weight, potential, step, c.groups + 1, phase)
                enter_observations(c, weight, nonce[b], potential, step, phase, seen)
        for group in range(c.groups):
            winners[b, group] = phase.winners[group]
        for a in range(phase.policy.size):
            prob[b, a] = (phase.policy[a] + half) >> c.window_bits
        if policy == POLICY_GREEDY:
            winners[b, c.groups] = np.argmax(prob[b])
        else:
            draw_into(phase.draws, nonce[b], STREAM_WINNERS)
            total = prob[b].sum()
            winners[b, c.groups] = draw_winner(prob[b], 0, phase.policy.size, total, phase.draws[c.groups])
        for j in range(c.neurons):
            q_out[b, j] = phase.trace[j]
        steps_out[b] = c.steps
        events_out[b] = phase.counted[0]
        words_out[b] = phase.counted[1]
