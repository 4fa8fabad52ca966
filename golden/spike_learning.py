"""Learning from spikes, as compiled integer loops (docs/numerics.md, "Spikes"; docs/learning.md)."""

from __future__ import annotations

import numpy as np

from golden.compiled import compiled
from golden.kernels import normalise, reciprocal
from golden.plasticity import RULE_CONTRASTIVE, accumulate_sample, mirror
from golden.spikes import begin, enter, enter_observations, fire, shift_trace, shown


@compiled
def clamp_action(c, weight, potential, action, phase):  # type: ignore[no-untyped-def]
    """The trace of the action becomes 1, those of the other actions 0, as events."""
    for j in range(c.hidden, c.neurons):
        trace = np.int64(1) << c.activity_frac if j == c.hidden + action else np.int64(0)
        if phase.trace[j] != trace:
            shift_trace(c, weight, potential, phase, j, trace - phase.trace[j])


@compiled
def run_clamped(c, weight, potential, nonce, action, phase):  # type: ignore[no-untyped-def]
    """The hidden groups go on for a window, with the random numbers of the last one, while the action is held."""
    clamp_action(c, weight, potential, action, phase)
    for step in range(c.steps, c.steps + c.window):
        fire(c, potential, nonce, step - c.window, c.groups, phase)
        enter(c, weight, potential, step, c.groups, phase)


@compiled
def surprise(c, action, phase, change):  # type: ignore[no-untyped-def]
    """Spikes less their probabilities in the present step; the action group's spike is the action."""
    one = np.int64(1) << c.activity_frac
    for group in range(c.groups + 1):
        r, exponent = reciprocal(c, phase.totals[group])
        first = c.group_start[group]
        winner = first + (action if group == c.groups else phase.winners[group])
        for j in range(first, c.group_start[group + 1]):
            q = normalise(phase.terms[j], r, exponent, c.activity_frac)
            change[j] = (one if j == winner else np.int64(0)) - q


@compiled
def learn_spikes(  # type: ignore[no-untyped-def]
    c, c_step, phase, potential, weight, bias, acc, acc_bias, obs, nonce, action, modulator, rule, both,
    events_out, infer_words_out, learn_words_out, steps_out,
):  # fmt: skip
    """``LEARN`` in spike mode for every row, in order; see :meth:`golden.device.Device.learn`.

    ``c_step`` are the constants with shifts that divide by the window.
    """
    free = np.empty(c.neurons, dtype=np.int64)
    change = np.empty(c.neurons, dtype=np.int64)
    moved = np.empty(c.neurons, dtype=np.int64)
    rank = np.empty(c.groups + 2, dtype=np.int64)
    for b in range(obs.shape[0]):
        seen = shown(obs[b])
        begin(c, weight, bias, obs[b], nonce[b], potential, phase, seen)
        words, trace = np.int64(0), phase.trace
        for step in range(c.steps):
            fire(c, potential, nonce[b], step, c.groups + 1, phase)
            if rule != RULE_CONTRASTIVE and step >= c.steps - c.window:
                surprise(c, action[b], phase, change)
                words += accumulate_sample(
                    c_step,
                    acc,
                    acc_bias,
                    obs[b],
                    modulator[b],
                    1,
                    trace,
                    trace,
                    trace,
                    change,
                    moved,
                    rank,
                    both,
                    False,
                )
            enter(c, weight, potential, step, c.groups + 1, phase)
            if step < c.steps - 1:
                enter_observations(c, weight, nonce[b], potential, step, phase, seen)
        steps_out[b] = c.steps
        if rule == RULE_CONTRASTIVE:
            free[:] = trace
            run_clamped(c, weight, potential, nonce[b], action[b], phase)
            steps_out[b] += c.window
            for j in range(c.neurons):
                change[j] = trace[j] - free[j]
            words = accumulate_sample(
                c, acc, acc_bias, obs[b], modulator[b], 2, free, trace, trace, change, moved, rank, both, False
            )
        events_out[b] = phase.counted[0]
        infer_words_out[b] = phase.counted[1]
        learn_words_out[b] = words
    if not both:
        mirror(acc, c.neurons)
