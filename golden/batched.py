"""Observations of a whole batch at once, to the same bits as one event after the other.

Where a device has thousands of inputs, almost all work is theirs. What they add to the potentials is a product of two
integer matrices, which BLAS computes exactly in float64; what they add to the accumulators is done block by block, so
that a block stays in the processor while all samples of the batch pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.compiled import compiled, fused
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, Constants, clamp, shift_round

Ints = NDArray[np.int64]

FEWEST_INPUTS, FEWEST_SAMPLES = 512, 4
"""Smaller devices and batches gain nothing."""

FEW_SAMPLES = 32
"""Up to so many, BLAS is the slower one."""

DENSE = 0.4
"""Share of observations that are not 0 from which on tiles are faster than events."""

BLOCK, TILE = 768, 32
"""Bytes of observations in a block, and samples that are added to one at a time: 24 KiB."""

EXACT = 1 << 53
"""Integers up to this are exact in float64; sums that go beyond are left to the kernels."""


def pays(config: DeviceConfig, batch: int) -> bool:
    """Whether a batch is worth it, in rate mode (spikes have no product), and its sums are exact."""
    largest = config.inputs << (config.weight_bits - 1 + config.obs_bits - 1)
    enough = config.inputs >= FEWEST_INPUTS and batch >= FEWEST_SAMPLES
    return enough and not config.spikes and largest < EXACT


class Drives:
    """What observations add to the potentials, (B, N).

    Every product and every sum of them is an integer below 2**53, so float64 holds it exactly, in any order.
    A training step asks twice for the same batch: its product is kept, with a copy of what it was computed from, which
    is compared with what is asked for. So nothing has to be told of a change.

    Parameters
    ----------
    c, config: of a device for which it :func:`pays`.
    """

    def __init__(self, c: Constants, config: DeviceConfig) -> None:
        self._span, self._shift, self._neurons = c.spans[OBSERVATION], c.obs_shift, config.neurons
        self._product = np.zeros((0, 0))
        self._seen: Observations = np.zeros((0, 0), dtype=np.int32)
        self._weight: NDArray[np.signedinteger] = self._seen

    def of(self, weight: NDArray[np.signedinteger], obs: Observations) -> Ints:
        """Of raw observations (B, S) and raw observation rows (S, N): int64 (B, N), raw."""
        low, high = self._span
        if len(obs) <= FEW_SAMPLES:
            product = product_of_few(obs, weight[:, low:high])
        else:
            if not (np.array_equal(self._seen, obs) and np.array_equal(self._weight, weight)):
                self._seen, self._weight = obs.copy(), weight.copy()
                self._product = obs.astype(np.float64) @ weight[:, low:high].astype(np.float64)
            product = self._product
        driven = np.zeros((len(obs), self._neurons), dtype=np.int64)
        driven[:, low:high] = product.astype(np.int64) << self._shift
        return driven


@fused
def product_of_few(obs, weight):  # type: ignore[no-untyped-def]
    """``obs @ weight`` of few integer rows, where BLAS would spend most of its time on arranging the weights.

    Four rows of weights pass four samples at a time, so whatever is in the processor is used several times.

    Parameters
    ----------
    obs: integer (B, S); weight: integer (S, columns).

    Returns
    -------
    float64 (B, columns).
    """
    samples, inputs = obs.shape
    columns = weight.shape[1]
    # Zeros beyond the last sample and the last observation.
    seen, sums, rows = np.zeros((samples + 3, inputs + 3)), np.zeros((samples + 3, columns)), np.zeros((4, columns))
    for b in range(samples):
        for s in range(inputs):
            seen[b, s] = obs[b, s]
    for s in range(0, inputs, 4):
        for i in range(min(4, inputs - s)):
            for j in range(columns):
                rows[i, j] = weight[s + i, j]
        for b in range(0, samples, 4):
            w0, w1, w2, w3 = seen[b, s : s + 4]
            x0, x1, x2, x3 = seen[b + 1, s : s + 4]
            y0, y1, y2, y3 = seen[b + 2, s : s + 4]
            z0, z1, z2, z3 = seen[b + 3, s : s + 4]
            for j in range(columns):
                r0, r1, r2, r3 = rows[0, j], rows[1, j], rows[2, j], rows[3, j]
                sums[b, j] = sums[b, j] + w0 * r0 + w1 * r1 + w2 * r2 + w3 * r3
                sums[b + 1, j] = sums[b + 1, j] + x0 * r0 + x1 * r1 + x2 * r2 + x3 * r3
                sums[b + 2, j] = sums[b + 2, j] + y0 * r0 + y1 * r1 + y2 * r2 + y3 * r3
                sums[b + 3, j] = sums[b + 3, j] + z0 * r0 + z1 * r1 + z2 * r2 + z3 * r3
    return sums[:samples]


def accumulate_observations(
    c: Constants, acc: NDArray[np.signedinteger], obs: Observations, modulator: Ints, changes: Ints
) -> None:
    """The observation rows of :func:`golden.plasticity.accumulate_sample`, for all samples in order.

    Parameters
    ----------
    acc: observation rows of the accumulators (S, N).
    obs: raw observations (B, S); modulator: raw (B,).
    changes: int64 (B, N), what the rule makes of the activities.
    """
    low, high = c.spans[OBSERVATION]
    # Of each sample, in size.
    products = _largest(obs) * _largest(changes[:, low:high]) * np.abs(modulator)
    held, moved = _largest(acc[:, low:high]).max(initial=0.0), (products * 2.0**-c.shift_obs + 1).sum()
    left = np.ones(len(obs), dtype=bool)
    # Where nothing saturates, samples may be added in any order.
    if np.count_nonzero(obs) >= DENSE * obs.size and held + moved <= c.acc_high:
        for kind in (np.float32, np.float64):
            now = left & (products < largest_product(kind, c.shift_obs))
            if np.count_nonzero(now) >= FEWEST_SAMPLES:
                left ^= now
                rows = slice(None) if now.all() else now
                bits = np.finfo(kind).nmant
                tile = np.zeros((TILE, BLOCK // np.dtype(kind).itemsize), dtype=kind)
                lesson = (obs[rows], modulator[rows], changes[rows])
                accumulate_tiles(acc, *lesson, low, high, c.shift_obs, tile, kind(1.5 * 2.0**bits))
    if left.any():
        scaled = np.ascontiguousarray((obs[left] * modulator[left, None]).T)
        accumulate_events(acc, scaled, changes[left], low, high, c.shift_obs, c.acc_low, c.acc_high)


def _largest(rows: NDArray[np.signedinteger]) -> NDArray[np.float64]:
    """Of every row, in size."""
    return np.maximum(rows.max(axis=1, initial=0), -rows.min(axis=1, initial=0).astype(np.float64))


def largest_product(kind: type[np.floating], shift: int) -> float:
    """Up to where :func:`accumulate_tiles` is exact: two bits are left, and the sums of a tile have integers only."""
    bits = np.finfo(kind).nmant
    return min(2.0 ** (bits - 2), (2.0 ** (bits - 1) / TILE - 1) * 2.0**shift)


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


@fused
def accumulate_tiles(acc, obs, modulator, changes, low, high, shift, tile, middle):  # type: ignore[no-untyped-def]
    """The same where nothing saturates, for observations that are mostly not zero. What does not change costs nothing.

    A float whose last place is a unit rounds what is added to it to an integer; what is left to see to are halves,
    which it takes to even numbers. So every factor is two to four units in its last place larger than it should be:
    halves go away from zero, and nothing else changes, for products leave two bits (:func:`largest_product`). Where the
    processor rounds the product before it adds, the first of these units still outlives that.

    A block of rows stays in the processor, neuron after neuron, and a tile of a few samples in its nearest memory.

    Parameters
    ----------
    obs, modulator: raw, integer (B, S) and (B,).
    tile: zeros (TILE, observations of a block), of the float to compute with; middle: of those of its numbers whose
        last place is a unit.
    The others are as above.
    """
    samples, inputs = obs.shape
    size, block = tile.shape
    neurons, tiles = high - low, -(-samples // size)
    # Of every neuron and tile: the samples that change it, four by four; the rest have a factor of 0.
    factor, sample = np.zeros((neurons, tiles * size), tile.dtype), np.zeros((neurons, tiles * size), dtype=np.int64)
    number, scale = np.zeros((neurons, tiles), dtype=np.int64), modulator.astype(tile.dtype)
    grown = 2.0 ** -float(shift) * (1.0 + 2.0 * np.finfo(tile.dtype).eps)
    for j in range(neurons):
        for b in range(samples):
            if changes[b, low + j] != 0 and modulator[b] != 0:
                place = b // size * size + number[j, b // size]
                factor[j, place] = changes[b, low + j] * grown
                sample[j, place] = b % size
                number[j, b // size] += 1
    cells, sums = np.zeros((neurons, block)), np.zeros(block, tile.dtype)
    for first in range(0, inputs, block):
        count = min(block, inputs - first)
        for s in range(count):
            for j in range(neurons):
                cells[j, s] = acc[first + s, low + j]
        for t in range(tiles):
            begin = t * size
            for b in range(min(size, samples - begin)):
                for s in range(count):
                    tile[b, s] = obs[begin + b, first + s]
                    tile[b, s] *= scale[begin + b]
            for j in range(neurons):
                sums[:] = middle
                for k in range(begin, begin + number[j, t], 4):
                    f0, f1, f2, f3 = factor[j, k : k + 4]
                    b0, b1, b2, b3 = sample[j, k : k + 4]
                    r0, r1, r2, r3 = tile[b0], tile[b1], tile[b2], tile[b3]
                    for s in range(block):
                        sums[s] = sums[s] + r0[s] * f0 + r1[s] * f1 + r2[s] * f2 + r3[s] * f3
                cell = cells[j]
                for s in range(block):
                    cell[s] += sums[s] - middle
        for s in range(count):
            for j in range(neurons):
                acc[first + s, low + j] = np.int64(cells[j, s])
