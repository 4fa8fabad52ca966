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
"""Share of observations that are not 0 from which on tiles are faster than events."""

BLOCK, TILE = 128, 64
"""Observations of a block, and samples that are added to one at a time: 64 KiB."""

EXACT = 1 << 53
"""Integers up to this are exact in float64; sums that go beyond are left to the kernels."""

ROUNDER = 1.5 * 2.0**52
"""Float64 has integers only around this, and rounds every sum with it to one."""


def pays(config: DeviceConfig, batch: int) -> bool:
    """Whether a batch is worth it, in rate mode (spikes have no product), and its sums are exact."""
    largest = config.inputs << (config.weight_bits - 1 + config.obs_bits - 1)
    enough = config.inputs >= FEWEST_INPUTS and batch >= FEWEST_SAMPLES
    return enough and not config.spikes and largest < EXACT


class Drives:
    """What observations add to the potentials, (B, N).

    Every product and every sum of them is an integer below 2**53, so float64 holds it exactly, in any order.
    A training step asks twice for the same batch, and a rollout many times with the same weights: the last product is
    kept, and the weights as float64. Both are compared with what is asked for, so nothing has to be told of a change.

    Parameters
    ----------
    c, config: of a device for which it :func:`pays`.
    """

    def __init__(self, c: Constants, config: DeviceConfig) -> None:
        self._span, self._shift, self._neurons = c.spans[OBSERVATION], c.obs_shift, config.neurons
        self._seen = self._product = np.zeros((0, 0))
        self._integers: NDArray[np.signedinteger] = np.zeros((0, 0), dtype=np.int64)
        self._weight = np.zeros((0, 0))

    def of(self, weight: NDArray[np.signedinteger], obs: Ints) -> Ints:
        """Of raw observations (B, S) and raw observation rows (S, N): int64 (B, N), raw."""
        low, high = self._span
        known = np.array_equal(self._integers, weight)
        if not known:
            self._integers, self._weight = weight.copy(), weight[:, low:high].astype(np.float64)
        if not (known and np.array_equal(self._seen, obs)):
            self._seen = obs.astype(np.float64)
            self._product = self._seen @ self._weight
        driven = np.zeros((len(obs), self._neurons), dtype=np.int64)
        driven[:, low:high] = self._product.astype(np.int64) << self._shift
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
        accumulate_tiles(acc, obs, modulator, changes, *limits)


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
def accumulate_tiles(acc, obs, modulator, changes, low, high, shift, bottom, top):  # type: ignore[no-untyped-def]
    """The same for observations that are mostly not zero. What does not change costs nothing, the rest two operations.

    Float64 rounds a sum with :data:`ROUNDER` to an integer; what is left to see to are halves, which it takes to even
    numbers. So every factor is one unit in its last place larger than it should be: halves go away from zero, and
    nothing else changes, for products have 48 bits at most and 53 are kept. Accumulators have as many, so nothing is
    lost where they are summed either.

    A block of rows stays in the processor, neuron after neuron, and a tile of a few samples in its nearest memory.
    Ends of the accumulators are looked at only for neurons that could come near them.

    Parameters
    ----------
    obs, modulator: raw, int64 (B, S) and (B,).
    The others are as above.
    """
    samples, inputs = obs.shape
    neurons, tiles = high - low, -(-samples // TILE)
    # Of every neuron and tile: the samples that change it, four by four; the rest have a factor of 0.
    factor, sample = np.zeros((neurons, tiles * TILE)), np.zeros((neurons, tiles * TILE), dtype=np.int64)
    number = np.zeros((neurons, tiles), dtype=np.int64)
    for j in range(neurons):
        for b in range(samples):
            if changes[b, low + j] != 0 and modulator[b] != 0:
                exact = changes[b, low + j] * 2.0 ** -float(shift)
                place = b // TILE * TILE + number[j, b // TILE]
                factor[j, place] = np.nextafter(exact, math.copysign(np.inf, exact))
                sample[j, place] = b % TILE
                number[j, b // TILE] += 1
    cells, tile = np.zeros((neurons, BLOCK)), np.zeros((TILE, BLOCK))
    peak, free = np.zeros(samples), np.zeros(neurons, dtype=np.bool_)
    least, most = ROUNDER + bottom, ROUNDER + top
    for first in range(0, inputs, BLOCK):
        count = min(BLOCK, inputs - first)
        for b in range(samples):
            largest = np.int64(0)
            for s in range(first, first + count):
                largest = max(largest, abs(obs[b, s]))
            peak[b] = abs(np.float64(largest * modulator[b]))
        for j in range(neurons):
            reach = 0.0
            for s in range(count):
                cells[j, s] = ROUNDER + acc[first + s, low + j]
                reach = max(reach, abs(cells[j, s] - ROUNDER))
            for t in range(tiles):
                for k in range(t * TILE, t * TILE + number[j, t]):
                    reach += abs(factor[j, k]) * peak[t * TILE + sample[j, k]] + 1.0
            free[j] = reach <= top
        for t in range(tiles):
            begin = t * TILE
            for b in range(min(TILE, samples - begin)):
                for s in range(count):
                    tile[b, s] = np.float64(obs[begin + b, first + s] * modulator[begin + b])
            for j in range(neurons):
                cell = cells[j]
                for k in range(begin, begin + number[j, t], 4):
                    f0, f1, f2, f3 = factor[j, k : k + 4]
                    b0, b1, b2, b3 = sample[j, k : k + 4]
                    r0, r1, r2, r3 = tile[b0], tile[b1], tile[b2], tile[b3]
                    if free[j]:
                        for s in range(BLOCK):
                            cell[s] = cell[s] + r0[s] * f0 + r1[s] * f1 + r2[s] * f2 + r3[s] * f3
                    else:
                        for s in range(BLOCK):
                            total = clamp(cell[s] + r0[s] * f0, least, most)
                            total = clamp(total + r1[s] * f1, least, most)
                            total = clamp(total + r2[s] * f2, least, most)
                            cell[s] = clamp(total + r3[s] * f3, least, most)
        for s in range(count):
            for j in range(neurons):
                acc[first + s, low + j] = np.int64(cells[j, s] - ROUNDER)
