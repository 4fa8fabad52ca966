"""Learning of the device as compiled integer loops: eligibility, accumulation, update (docs/numerics.md)."""

from __future__ import annotations

import numpy as np

from golden.compiled import compiled, inlined
from golden.kernels import (
    ACTION,
    HIDDEN,
    OBSERVATION,
    action_jump,
    bit_length,
    clamp,
    exponentials,
    feed_forward,
    hidden_jump,
    normalise,
    reciprocal,
    settle,
    shift_round,
)

RULE_PUBLISHED, RULE_CONDITIONAL, RULE_CONTRASTIVE = 0, 1, 2
OPTIMISER_SGD, OPTIMISER_RMSPROP, OPTIMISER_SIGN = 0, 1, 2


@inlined
def accumulate_dense(acc, row, low, high, own, own_change, change, other, shift, bottom, top):  # type: ignore[no-untyped-def]
    """acc[row, j] += round(own * change_j + own_change * other_j) for j in [low, high), saturating."""
    if high <= low:
        return
    cells, changes, others = acc[row, low:high], change[low:high], other[low:high]
    for j in range(cells.size):
        amount = shift_round(own * changes[j] + own_change * others[j], shift)
        cells[j] = clamp(np.int64(cells[j]) + amount, bottom, top)


@inlined
def accumulate_sparse(acc, row, own, change, moved, shift, bottom, top):  # type: ignore[no-untyped-def]
    """acc[row, j] += round(own * change_j) for the columns j listed in ``moved``, saturating."""
    for m in range(moved.size):
        j = moved[m]
        acc[row, j] = clamp(np.int64(acc[row, j]) + shift_round(own * change[j], shift), bottom, top)


@compiled
def accumulate_sample(  # type: ignore[no-untyped-def]
    c, acc, acc_bias, obs, modulator, factor, q, trace, cross, change, moved_buffer, rank, both, defers
):
    """Add one sample's modulated eligibility to the accumulators; returns the row words touched.

    With f = factor, M = modulator, every existing synapse receives, rounded once and saturating,
    hidden-hidden:       f * M * (trace_i * change_j + change_i * q_j)
    hidden i, action j:  f * M * (cross_i * change_j + change_i * q_j)
    observation s:       M * s * change_j
    bias:                M * change_j
    Of the recurrent block only the upper triangle (i < j) is written, unless ``both`` is set; :func:`mirror` completes
    it after a batch.
    With ``defers`` the observation rows are left to :func:`golden.batched.accumulate_observations`, and counted.
    Rows that cannot change are not touched, and the words are counted as a device with both triangles touches
    them. ``moved_buffer`` (N,) and ``rank`` (G+2,) are scratch.
    """
    words = np.int64(0)
    moves = 0
    for group in range(c.groups + 1):
        rank[group] = moves  # of the group's first neuron among the moved ones
        for j in range(c.group_start[group], c.group_start[group + 1]):
            if change[j] != 0:
                moved_buffer[moves] = j
                moves += 1
    rank[c.groups + 1] = moves
    if moves == 0 or modulator == 0:
        return words
    moved = moved_buffer[:moves]
    moved_words = np.zeros(3, dtype=np.int64)
    for kind in range(3):
        word = np.int64(-1)
        for j in moved:
            if c.spans[kind, 0] <= j < c.spans[kind, 1] and j // c.lanes != word:
                word = j // c.lanes
                moved_words[kind] += 1
    scale = factor * modulator
    hidden_moved = rank[c.groups]
    shift, bottom, top = c.shift_recurrent, c.acc_low, c.acc_high
    for group in range(c.groups + 1):
        last = c.group_start[group + 1]
        kind = HIDDEN if group < c.groups else ACTION
        low, high = c.spans[kind, 0], c.spans[kind, 1]
        to_hidden, to_action = kind == HIDDEN and low == 0, kind == HIDDEN and high > c.hidden
        first = c.group_start[group]
        for i in range(first, last):
            if change[i] == 0 and q[i] == 0:
                continue
            words += c.span_words[kind] if change[i] != 0 else moved_words[kind]
            own_change = scale * change[i]
            if to_hidden:
                own = scale * trace[i]
                if change[i] == 0:
                    accumulate_sparse(acc, i, own, change, moved[rank[group + 1] : hidden_moved], shift, bottom, top)
                else:
                    accumulate_dense(acc, i, last, c.hidden, own, own_change, change, q, shift, bottom, top)
                if both and change[i] == 0:
                    accumulate_sparse(acc, i, own, change, moved[: rank[group]], shift, bottom, top)
                elif both:
                    accumulate_dense(acc, i, 0, first, own, own_change, change, q, shift, bottom, top)
            if both and kind == ACTION and high > low:
                # The transpose of hidden to action: the hidden neuron's cross trace is the other factor.
                own = scale * q[i]
                if change[i] == 0:
                    accumulate_sparse(acc, i, own, change, moved[:hidden_moved], shift, bottom, top)
                else:
                    accumulate_dense(acc, i, low, high, own, own_change, change, cross, shift, bottom, top)
            if to_action:
                own = scale * cross[i]
                if change[i] == 0:
                    accumulate_sparse(acc, i, own, change, moved[hidden_moved:], shift, bottom, top)
                else:
                    accumulate_dense(acc, i, c.hidden, high, own, own_change, change, q, shift, bottom, top)
    if moved_words[OBSERVATION]:
        words += moved_words[OBSERVATION] * np.count_nonzero(obs)
        if not defers:
            begin = 0 if c.spans[OBSERVATION, 0] == 0 else hidden_moved
            end = hidden_moved if c.spans[OBSERVATION, 1] == c.hidden else moves
            for s in range(c.inputs):
                if obs[s] != 0:
                    own = modulator * np.int64(obs[s])
                    accumulate_sparse(acc, c.neurons + s, own, change, moved[begin:end], c.shift_obs, bottom, top)
    accumulate_sparse(acc_bias, 0, modulator, change, moved, c.shift_bias, bottom, top)
    return words


@compiled
def mirror(acc, neurons):  # type: ignore[no-untyped-def]
    """Copy the upper triangle of the recurrent block to the lower."""
    for i in range(neurons):
        for j in range(i):
            acc[i, j] = acc[j, i]


@compiled
def learn_batch(  # type: ignore[no-untyped-def]
    c,
    potential,
    weight,
    bias,
    acc,
    acc_bias,
    obs,
    driven,
    changes,
    winners,
    modulator,
    rule,
    both,
    events_out,
    infer_words_out,
    learn_words_out,
    passes_out,
):
    """``LEARN`` for every row, in order; see :meth:`golden.device.Device.learn`.

    ``driven`` is as in :func:`golden.kernels.infer_batch`. ``changes`` (B, N) takes what the observation rows of the
    accumulators are still to get, or is of width 0: then they get it here.
    """
    fresh = np.empty(c.neurons, dtype=np.int64)
    terms = np.empty(c.neurons, dtype=np.int64)
    totals = np.empty(c.groups + 1, dtype=np.int64)
    q = np.empty(c.neurons, dtype=np.int64)
    trace = np.empty(c.neurons, dtype=np.int64)
    cross = np.empty(c.neurons, dtype=np.int64)
    change = np.empty(c.neurons, dtype=np.int64)
    moved = np.empty(c.neurons, dtype=np.int64)
    rank = np.empty(c.groups + 2, dtype=np.int64)
    count = np.empty(2, dtype=np.int64)
    one = np.int64(1) << c.activity_frac
    for b in range(obs.shape[0]):
        feed_forward(c, weight, bias, obs[b], driven[b], potential, q, fresh, count)
        passes = settle(
            c, weight, potential, q, fresh, terms, totals, c.groups + 1, c.iterations, rule != RULE_PUBLISHED, count
        )
        for j in range(c.neurons):
            trace[j] = q[j]
            cross[j] = q[j]
        if rule == RULE_CONTRASTIVE:
            # trace and cross become the clamped activity; q must keep the free one.
            action_jump(c, weight, potential, trace, fresh, winners[b, c.groups], count)
            passes += settle(
                c, weight, potential, trace, fresh, terms, totals, c.groups, c.clamp_iterations, False, count
            )
            for j in range(c.neurons):
                cross[j] = trace[j]
                change[j] = trace[j] - q[j]
        else:
            if rule == RULE_CONDITIONAL:
                # Action activity given the hidden winners; the hidden activity of the free phase stays in q.
                hidden_jump(c, weight, potential, cross, fresh, winners[b], count)
                total = exponentials(c, potential, c.hidden, c.neurons, terms)
                r, exponent = reciprocal(c, total)
                for j in range(c.hidden, c.neurons):
                    trace[j] = normalise(terms[j], r, exponent, c.activity_frac)
            for group in range(c.groups + 1):
                first = c.group_start[group]
                for j in range(first, c.group_start[group + 1]):
                    change[j] = (one if j == first + winners[b, group] else np.int64(0)) - trace[j]
        passes_out[b] = passes
        events_out[b] = count[0]
        infer_words_out[b] = count[1]
        learn_words_out[b] = accumulate_sample(
            c,
            acc,
            acc_bias,
            obs[b],
            modulator[b],
            2 if rule == RULE_CONTRASTIVE else 1,
            q,
            trace,
            cross,
            change,
            moved,
            rank,
            both,
            changes.shape[1] > 0,
        )
        for j in range(changes.shape[1]):
            changes[b, j] = change[j]
    if not both:
        mirror(acc, c.neurons)


@inlined
def rms_shift(moment, floor, moment_frac):  # type: ignore[no-untyped-def]
    """Exponent of the power of two nearest to the square root of a second moment, floored."""
    return (bit_length(max(moment, floor)) - moment_frac) >> 1


@compiled
def apply_rows(  # type: ignore[no-untyped-def]
    weight, acc, moment, optimiser, mean_shift, rate, decay, floor, grid,
    acc_frac, weight_frac, moment_frac, grad_high, moment_high, low, high,
):  # fmt: skip
    """``APPLY`` on every synapse of ``weight`` (rows, N); see :meth:`golden.device.Device.apply`."""
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            gradient = clamp(shift_round(np.int64(acc[i, j]), mean_shift), -grad_high - 1, grad_high)
            acc[i, j] = 0
            if optimiser == OPTIMISER_RMSPROP:
                squared = min((gradient * gradient) >> (2 * acc_frac - moment_frac), moment_high)
                updated = np.int64(moment[i, j])
                updated += (squared - updated) >> decay
                moment[i, j] = updated
                step = shift_round(gradient, acc_frac - weight_frac + rate + rms_shift(updated, floor, moment_frac))
            elif optimiser == OPTIMISER_SGD:
                step = shift_round(gradient, acc_frac - weight_frac + rate)
            else:
                rounded = shift_round(gradient, acc_frac - grid)
                step = np.int64(1) << (weight_frac - rate)
                step = step if rounded > 0 else (-step if rounded < 0 else np.int64(0))
            weight[i, j] = clamp(np.int64(weight[i, j]) + step, low, high)
