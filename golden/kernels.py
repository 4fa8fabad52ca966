"""Inference of the device, one sample at a time, as compiled integer loops; learning is in ``golden.plasticity``.

The loops follow the datapath of the hardware: events enter potentials, groups pass through the softmax, changed
activities become events (docs/numerics.md has every step as text). All values are int64 unless said; every sum
fits by :attr:`golden.config.DeviceConfig.potential_bits`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.compiled import compiled, inlined
from golden.config import (
    DRAW_BITS,
    EXP_FRAC,
    RECIPROCAL_FRAC,
    RECIPROCAL_INDEX_BITS,
    RECIPROCAL_REMAINDER_BITS,
    DeviceConfig,
)
from golden.rng import STREAM_WINNERS, draw_into
from golden.tables import exp2_table, reciprocal_table

Ints = NDArray[np.int64]

POLICY_SAMPLE, POLICY_GREEDY, POLICY_CONDITIONAL = 0, 1, 2

HIDDEN, ACTION, OBSERVATION = 0, 1, 2
"""Source classes: rows of :attr:`Constants.spans`."""


class Constants(NamedTuple):
    """What the kernels need of a :class:`DeviceConfig`."""

    hidden: int
    neurons: int
    inputs: int
    groups: int
    iterations: int
    clamp_iterations: int
    start: int
    group_start: Ints
    spans: Ints
    span_words: Ints
    lanes: int
    drive_frac: int
    obs_shift: int
    activity_shift: int
    activity_frac: int
    prob_frac: int
    exp_index_bits: int
    exp_shift: int
    exp_table: Ints
    reciprocal_base: Ints
    reciprocal_slope: Ints
    shift_recurrent: int
    shift_obs: int
    shift_bias: int
    acc_low: int
    acc_high: int
    obs_frac: int
    steps: int
    window: int
    window_bits: int
    bernoulli: int


def constants(config: DeviceConfig) -> Constants:
    """Collect the constants of a configuration."""
    base, slope = reciprocal_table()
    spans = config.spans
    first_word = spans[:, 0] // config.lanes
    last_word = (spans[:, 1] + config.lanes - 1) // config.lanes
    product_frac = config.activity_frac + config.modulator_frac
    return Constants(
        hidden=config.hidden,
        neurons=config.neurons,
        inputs=config.inputs,
        groups=config.groups,
        iterations=config.iterations,
        clamp_iterations=config.clamp_iterations,
        start=int(config.start == "uniform"),
        group_start=config.group_start,
        spans=spans,
        span_words=np.where(spans[:, 1] > spans[:, 0], last_word - first_word, 0),
        lanes=config.lanes,
        drive_frac=config.drive_frac,
        obs_shift=config.drive_frac - config.obs_frac,
        activity_shift=config.drive_frac - config.activity_frac,
        activity_frac=config.activity_frac,
        prob_frac=config.prob_frac,
        exp_index_bits=config.exp_index_bits,
        exp_shift=config.potential_frac - config.exp_index_bits,
        exp_table=exp2_table(config.exp_index_bits),
        reciprocal_base=base,
        reciprocal_slope=slope,
        shift_recurrent=config.activity_frac + product_frac - config.acc_frac,
        shift_obs=config.obs_frac + product_frac - config.acc_frac,
        shift_bias=product_frac - config.acc_frac,
        acc_low=config.accumulator.low,
        acc_high=config.accumulator.high,
        obs_frac=config.obs_frac,
        steps=config.steps,
        window=config.window,
        window_bits=config.window.bit_length() - 1,
        bernoulli=int(config.obs_spikes == "bernoulli"),
    )


def divided(c: Constants, bits: int) -> Constants:
    """Constants with which eligibilities are divided by 2**bits before they are rounded."""
    shifts = ("shift_recurrent", "shift_obs", "shift_bias")
    return c._replace(**{name: getattr(c, name) + bits for name in shifts})


@inlined
def shift_round(value, shift):  # type: ignore[no-untyped-def]
    """``value / 2**shift`` to the nearest integer, halves away from zero; a negative shift multiplies exactly."""
    if shift <= 0:
        return value << -shift
    return (value + (np.int64(1) << (shift - 1)) - (1 if value < 0 else 0)) >> shift


@inlined
def clamp(value, low, high):  # type: ignore[no-untyped-def]
    """Saturate to [low, high]."""
    return min(max(value, low), high)


@inlined
def bit_length(value):  # type: ignore[no-untyped-def]
    """Bits of a non-negative integer: floor(log2(value)) + 1, 0 for 0."""
    length = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> (length + step - 1):
            length += step
    return length


@inlined
def add_event(potential, weight, source, value, low, high):  # type: ignore[no-untyped-def]
    """An event: the row of a source, times the event's value, enters the potentials of its span."""
    # Slices that start at 0 let the compiler use vector instructions.
    reached, row = potential[low:high], weight[source, low:high]
    for j in range(reached.size):
        reached[j] += value * np.int64(row[j])


@inlined
def exponentials(c, potential, low, high, terms):  # type: ignore[no-untyped-def]
    """Unnormalised softmax terms of one group into ``terms[low:high]``; returns their sum."""
    values, out = potential[low:high], terms[low:high]
    top = np.int64(values[0])
    for j in range(1, values.size):
        top = max(top, np.int64(values[j]))
    fraction_mask = (np.int64(1) << c.exp_index_bits) - 1
    half = np.int64(1) << (c.exp_shift - 1) if c.exp_shift > 0 else np.int64(0)
    right, left = max(c.exp_shift, 0), max(-c.exp_shift, 0)
    total = np.int64(0)
    for j in range(values.size):
        depth = (((top - values[j]) + half) >> right) << left
        octaves = (depth + fraction_mask) >> c.exp_index_bits
        term = np.int64(0)
        if octaves <= EXP_FRAC:
            term = c.exp_table[-depth & fraction_mask] >> octaves
        out[j] = term
        total += term
    return total


@inlined
def reciprocal(c, total):  # type: ignore[no-untyped-def]
    """(r, k) with 1/total ~ r * 2**-(RECIPROCAL_FRAC + k), k = floor(log2 total)."""
    exponent = bit_length(total) - 1
    width = RECIPROCAL_INDEX_BITS + RECIPROCAL_REMAINDER_BITS
    mantissa = (total << width) >> exponent
    remainder = mantissa & ((1 << RECIPROCAL_REMAINDER_BITS) - 1)
    index = (mantissa >> RECIPROCAL_REMAINDER_BITS) & ((1 << RECIPROCAL_INDEX_BITS) - 1)
    r = c.reciprocal_base[index] - ((c.reciprocal_slope[index] * remainder) >> RECIPROCAL_REMAINDER_BITS)
    return r, exponent


@inlined
def normalise(term, r, exponent, frac):  # type: ignore[no-untyped-def]
    """One softmax output with ``frac`` fraction bits: round(term * r / 2**(RECIPROCAL_FRAC + k)), at most 1.0."""
    shift = RECIPROCAL_FRAC + exponent - frac
    return min((term * r + (np.int64(1) << (shift - 1))) >> shift, np.int64(1) << frac)


@inlined
def draw_winner(terms, low, high, total, draw):  # type: ignore[no-untyped-def]
    """Inverse CDF on the softmax terms: the first neuron whose running sum exceeds floor(draw * total / 2**16)."""
    threshold = (draw * total) >> DRAW_BITS
    running = np.int64(0)
    for j in range(low, high):
        running += terms[j]
        if running > threshold:
            return j
    return high - 1


@compiled
def feed_forward(c, weight, bias, obs, driven, potential, q, fresh, count):  # type: ignore[no-untyped-def]
    """Start of a decision: biases, observation events, start activity. Clears ``count`` (events, row words).

    ``driven`` (N,) is what the observations add to the potentials, or of size 0 where nobody has computed that.
    """
    for j in range(c.neurons):
        potential[j] = np.int64(bias[j]) << c.drive_frac
        q[j] = 0
    for j in range(driven.size):
        potential[j] += driven[j]
    count[0] = 0
    count[1] = 0
    low, high = c.spans[OBSERVATION]
    if low < high:
        count[0] = np.count_nonzero(obs)
        if driven.size == 0:
            for s in range(c.inputs):
                if obs[s] != 0:
                    add_event(potential, weight, c.neurons + s, np.int64(obs[s]) << c.obs_shift, low, high)
        count[1] = count[0] * c.span_words[OBSERVATION]
    if c.start:
        for group in range(c.groups + 1):
            first, last = c.group_start[group], c.group_start[group + 1]
            size = last - first
            fresh[first:last] = ((np.int64(2) << c.activity_frac) + size) // (2 * size)
        move_all(c, weight, potential, q, fresh, c.groups + 1, count)


@compiled
def move(weight, potential, q, fresh, first, last, low, high, shift):  # type: ignore[no-untyped-def]
    """Set q[first:last] to ``fresh``; each change is an event of value 2 * (new - old) on the span [low, high).

    Returns the number of changes.
    """
    changes = np.int64(0)
    for i in range(first, last):
        change = fresh[i] - q[i]
        if change != 0:
            q[i] = fresh[i]
            changes += 1
            if low < high:
                add_event(potential, weight, i, (2 * change) << shift, low, high)
    return changes


@compiled
def move_all(c, weight, potential, q, fresh, groups, count):  # type: ignore[no-untyped-def]
    """:func:`move` the first ``groups`` groups, counting events and row words."""
    for kind, first, last in ((HIDDEN, 0, c.hidden), (ACTION, c.hidden, c.neurons)):
        if kind == ACTION and groups <= c.groups:
            break
        low, high = c.spans[kind, 0], c.spans[kind, 1]
        changes = move(weight, potential, q, fresh, first, last, low, high, c.activity_shift)
        if low < high:
            count[0] += changes
            count[1] += changes * c.span_words[kind]


@compiled
def settle(c, weight, potential, q, fresh, terms, totals, groups, iterations, finish, count):  # type: ignore[no-untyped-def]
    """Synchronous softmax passes over the first ``groups`` groups until nothing changes, at most ``iterations``.

    Events follow every pass but the last, which ``finish`` adds so that the potentials belong to ``q`` again.
    Leaves the terms and totals of the last pass. Returns the number of passes.
    """
    last_neuron = c.group_start[groups]
    for passes in range(1, iterations + 1):
        changed = False
        for group in range(groups):
            low, high = c.group_start[group], c.group_start[group + 1]
            total = exponentials(c, potential, low, high, terms)
            totals[group] = total
            r, exponent = reciprocal(c, total)
            for j in range(low, high):
                value = normalise(terms[j], r, exponent, c.activity_frac)
                fresh[j] = value
                changed |= value != q[j]
        if not changed:
            return passes
        if passes < iterations or finish:
            move_all(c, weight, potential, q, fresh, groups, count)
        else:
            for i in range(last_neuron):
                q[i] = fresh[i]
    return iterations


@compiled
def group_potential_winner(potential, low, high):  # type: ignore[no-untyped-def]
    """Index of the largest potential of a group, the lowest on ties."""
    best = low
    for j in range(low + 1, high):
        if potential[j] > potential[best]:
            best = j
    return best


@compiled
def hidden_jump(c, weight, potential, q, fresh, winners, count):  # type: ignore[no-untyped-def]
    """Replace the activity of the hidden groups by one-hot winners, as events."""
    fresh[: c.hidden] = 0
    for group in range(c.groups):
        fresh[c.group_start[group] + winners[group]] = np.int64(1) << c.activity_frac
    move_all(c, weight, potential, q, fresh, c.groups, count)


@compiled
def action_jump(c, weight, potential, q, fresh, action, count):  # type: ignore[no-untyped-def]
    """Replace the activity of the action group by the one-hot action, as events."""
    fresh[: c.hidden] = q[: c.hidden]
    fresh[c.hidden : c.neurons] = 0
    fresh[c.hidden + action] = np.int64(1) << c.activity_frac
    move_all(c, weight, potential, q, fresh, c.groups + 1, count)


@compiled
def infer_batch(  # type: ignore[no-untyped-def]
    c, potential, weight, bias, obs, driven, nonce, policy, given, has_given,
    winners, prob, q_out, passes_out, events_out, words_out,
):  # fmt: skip
    """``INFER`` for every row; see :meth:`golden.device.Device.infer`."""
    fresh = np.empty(c.neurons, dtype=np.int64)
    terms = np.empty(c.neurons, dtype=np.int64)
    totals = np.empty(c.groups + 1, dtype=np.int64)
    draws = np.empty(c.groups + 1, dtype=np.int64)
    q = np.empty(c.neurons, dtype=np.int64)
    count = np.empty(2, dtype=np.int64)
    action_low, action_high = c.hidden, c.neurons
    for b in range(obs.shape[0]):
        feed_forward(c, weight, bias, obs[b], driven[b], potential, q, fresh, count)
        conditional = policy == POLICY_CONDITIONAL
        passes_out[b] = settle(
            c, weight, potential, q, fresh, terms, totals, c.groups + 1, c.iterations, conditional, count
        )
        if policy == POLICY_GREEDY:
            # The potentials are still those the last pass has seen: its own events are not added.
            for group in range(c.groups + 1):
                low, high = c.group_start[group], c.group_start[group + 1]
                winners[b, group] = group_potential_winner(potential, low, high) - low
        else:
            draw_into(draws, nonce[b], STREAM_WINNERS)
            for group in range(c.groups + 1):
                low, high = c.group_start[group], c.group_start[group + 1]
                winners[b, group] = draw_winner(terms, low, high, totals[group], draws[group]) - low
        for j in range(c.neurons):
            q_out[b, j] = q[j]
        if conditional:
            if has_given:
                for group in range(c.groups):
                    winners[b, group] = given[b, group]
            hidden_jump(c, weight, potential, q, fresh, winners[b], count)
            total = exponentials(c, potential, action_low, action_high, terms)
            totals[c.groups] = total
            winners[b, c.groups] = draw_winner(terms, action_low, action_high, total, draws[c.groups]) - action_low
        r, exponent = reciprocal(c, totals[c.groups])
        for a in range(c.neurons - c.hidden):
            prob[b, a] = normalise(terms[c.hidden + a], r, exponent, c.prob_frac)
        events_out[b] = count[0]
        words_out[b] = count[1]
