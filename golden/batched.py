"""Observations of a whole batch at once, to the same bits as one event after the other.

Where a device has thousands of inputs, almost all work is theirs. What they add to the potentials is a product of two
integer matrices, which BLAS computes exactly in float64; what they add to the accumulators is done block by block, so
that a block stays in the processor while all samples of the batch pass.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from golden.compiled import compiled
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, Constants, clamp, shift_round

Ints = NDArray[np.int64]

FEWEST_INPUTS, FEWEST_SAMPLES = 512, 8
"""Smaller devices and batches gain nothing."""

DENSE = 0.4
"""Share of observations that are not 0 from which on columns are faster than events."""

BLOCK = 256
"""Observations of a block: with all samples of a usual batch, a megabyte."""

EXACT = 1 << 53
"""Integers up to this are exact in float64."""


def pays(config: DeviceConfig, batch: int) -> bool:
    """Whether a batch is worth it, in rate mode: spikes have no product."""
    return not config.spikes and config.inputs >= FEWEST_INPUTS and batch >= FEWEST_SAMPLES


def drives(c: Constants, config: DeviceConfig, weight: NDArray[np.signedinteger], obs: Ints) -> Ints:
    """What observations add to the potentials, int64 (B, N).

    Every product and every sum of them is an integer below 2**53, so float64 holds it exactly, in any order.

    Parameters
    ----------
    weight: observation rows (S, N), raw.
    obs: raw observations (B, S).
    """
    largest = 1 << (config.weight_bits - 1 + config.obs_bits - 1)
    assert config.inputs * largest < EXACT, "the sum is exact in float64"
    low, high = c.spans[OBSERVATION]
    driven = np.zeros((len(obs), config.neurons), dtype=np.int64)
    if low < high:
        product = obs.astype(np.float64) @ weight[:, low:high].astype(np.float64)
        driven[:, low:high] = product.astype(np.int64) << c.obs_shift
    return driven


def accumulate_observations(
    c: Constants, acc: NDArray[np.signedinteger], obs: Ints, modulator: Ints, changes: Ints
) -> None:
    """The observation rows of :func:`golden.plasticity.accumulate_sample`, for all samples in order.

    Parameters
    ----------
    acc: observation rows of the accumulators (S, N).
    obs: raw observations (B, S); modulator: raw (B,).
    changes: int64 (B, N), what the rule makes of the activities.
    """
    low, high = c.spans[OBSERVATION]
    limits = (low, high, c.shift_obs, c.acc_low, c.acc_high)
    if np.count_nonzero(obs) < DENSE * obs.size:
        accumulate_events(acc, np.ascontiguousarray((obs * modulator[:, None]).T), changes, *limits)
    else:
        accumulate_columns(acc, obs * modulator[:, None].astype(np.float64), np.ascontiguousarray(changes.T), *limits)


@compiled
def accumulate_events(acc, scaled, changes, low, high, shift, bottom, top):  # type: ignore[no-untyped-def]
    """``acc[s, j] += round(scaled[s, b] * changes[b, j])`` for all samples b in order, saturating.

    Row by row, so that a row stays in the processor while all samples pass. An observation of 0 costs nothing.

    Parameters
    ----------
    acc: observation rows of the accumulators (S, N).
    scaled: int64 (S, B), modulator times raw observation.
    changes: int64 (B, N).
    low, high: columns that observations reach.
    shift: of the rounding; bottom, top: ends of the accumulator's format.
    """
    for s in range(acc.shape[0]):
        cells = acc[s, low:high]
        for b in range(scaled.shape[1]):
            factor = scaled[s, b]
            if factor != 0:
                moves = changes[b, low:high]
                for j in range(cells.size):
                    cells[j] = clamp(np.int64(cells[j]) + shift_round(factor * moves[j], shift), bottom, top)


@compiled
def accumulate_columns(acc, scaled, changes, low, high, shift, bottom, top):  # type: ignore[no-untyped-def]
    """``acc[s, j] += round(scaled[b, s] * changes[j, b])`` for all samples b in order, saturating.

    Column by column, in blocks of rows. A neuron that does not change costs nothing.
    Products have 48 bits at most and accumulators as many, so float64 holds them, what is rounded and every sum
    exactly; processors multiply several of them at once, which is slow with int64.

    Parameters
    ----------
    acc: observation rows of the accumulators (S, N).
    scaled: float64 (B, S), modulator times raw observation.
    changes: int64 (N, B).
    low, high: columns that observations reach.
    shift: of the rounding; bottom, top: ends of the accumulator's format.
    """
    samples, inputs = scaled.shape
    least, most, unit = float(bottom), float(top), 2.0 ** -float(shift)
    cells = np.empty(BLOCK)
    for first in range(0, inputs, BLOCK):
        count = min(BLOCK, inputs - first)
        for j in range(low, high):
            for s in range(count):
                cells[s] = acc[first + s, j]
            for b in range(samples):
                if changes[j, b] != 0:
                    factor, row = changes[j, b] * unit, scaled[b, first : first + count]
                    for s in range(count):
                        move = row[s] * factor
                        total = cells[s] + math.copysign(np.floor(abs(move) + 0.5), move)
                        total = total if total > least else least
                        cells[s] = total if total < most else most
            for s in range(count):
                acc[first + s, j] = np.int64(cells[s])
