"""Observations of a whole batch at once, to the same bits as one event after the other.

Where a device has thousands of inputs, almost all work is theirs. What they add to the potentials is a product of two
integer matrices; what they add to the accumulators is done block by block. So what is used several times stays in the
processor meanwhile.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.compiled import compiled, fused
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, Constants, clamp, shift_round

Ints = NDArray[np.int64]

Number = TypeVar("Number", bound=np.generic)

FEWEST_INPUTS, FEWEST_SAMPLES = 512, 4
"""Smaller devices and batches gain nothing."""

LINE = 64
"""Bytes that a processor loads at a time; rows that begin with such a line are multiplied a fifth faster."""

ROWS = 16
"""Observations, of 10 KB each, that stay near the processor while all weights pass."""

DENSE = 0.4
"""Share of observations that are not 0 from which on tiles are faster than events."""

BLOCK, TILE = 768, 32
"""Bytes of observations in a block, and samples that are added to one at a time: 24 KiB."""


def pays(config: DeviceConfig, batch: int) -> bool:
    """Whether a batch is worth it, in rate mode: spikes have no product."""
    return config.inputs >= FEWEST_INPUTS and batch >= FEWEST_SAMPLES and not config.spikes


class Drives:
    """What observations add to the potentials, (B, N).

    A training step asks twice for the same batch, and decisions with the same weights follow each other: the product
    and the weights are kept, with copies of what they were made of, which are compared with what is asked for. So
    nothing has to be told of a change.

    Parameters
    ----------
    c, config: of a device for which it :func:`pays`.
    """

    def __init__(self, c: Constants, config: DeviceConfig) -> None:
        self._span, self._shift, self._neurons = c.spans[OBSERVATION], c.obs_shift, config.neurons
        self._weight: NDArray[np.signedinteger] = np.zeros((0, 0), dtype=np.int16)
        self._columns, self._obs, self._length = self._weight, self._weight, np.int64(0)
        self._product = np.zeros((0, 0), dtype=np.int64)

    def of(self, weight: NDArray[np.signedinteger], obs: Observations) -> Ints:
        """Of raw observations (B, S) and raw observation rows (S, N): int64 (B, N), raw."""
        low, high = self._span
        known = equal(self._weight, weight)
        if not known:
            self._weight, self._columns = weight.copy(), aligned(weight[:, low:high].T)
            self._length = largest_square(self._columns)
        if not (known and equal(self._obs, obs)):
            self._obs = aligned(obs)
            # No product of two rows is larger than that of their lengths (Cauchy and Schwarz).
            fits = int(largest_square(self._obs)) * int(self._length) < 1 << 62
            self._product = products(self._obs, self._columns, np.int32 if fits else np.int64)
        driven = np.zeros((len(obs), self._neurons), dtype=np.int64)
        driven[:, low:high] = self._product << self._shift
        return driven


def aligned(array: NDArray[Number]) -> NDArray[Number]:
    """A contiguous copy that begins with a line of the processor's."""
    memory = np.empty(array.nbytes + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@compiled
def equal(one, other):  # type: ignore[no-untyped-def]
    """Whether two matrices of integers are the same; rows after the first that differs are not read."""
    if one.shape != other.shape:
        return False
    for i in range(one.shape[0]):
        differ = 0
        for j in range(one.shape[1]):
            differ |= one[i, j] ^ other[i, j]
        if differ:
            return False
    return True


@compiled
def largest_square(rows):  # type: ignore[no-untyped-def]
    """Largest sum of the squares of a row of integers (B, S), int64; 0 of no rows."""
    largest = np.int64(0)
    for b in range(rows.shape[0]):
        row, square = rows[b], np.int64(0)
        for s in range(row.size):
            square += np.int64(row[s]) * np.int64(row[s])
        largest = max(largest, square)
    return largest


@compiled
def products(obs, columns, kind):  # type: ignore[no-untyped-def]
    """``obs @ columns.T`` of integers (B, S) and (C, S): int64 (B, C).

    Summed in integers of ``kind``, which hold what comes out; what they carry over on the way comes back.
    """
    samples, product = obs.shape[0], np.empty((obs.shape[0], columns.shape[0]), dtype=np.int64)
    for first in range(0, samples, ROWS):
        for j in range(columns.shape[0]):
            column = columns[j]
            for b in range(first, min(first + ROWS, samples)):
                row, total = obs[b], kind(0)
                # Of 16 bits each, processors multiply and add these in pairs.
                for s in range(row.size):
                    total = kind(total + kind(row[s]) * kind(column[s]))
                product[b, j] = total
    return product


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
    sizes = _largest(obs) * _largest(changes[:, low:high]) * np.abs(modulator)
    held, moved = _largest(acc[:, low:high]).max(initial=0.0), (sizes * 2.0**-c.shift_obs + 1).sum()
    left = sizes > 0
    # Where nothing saturates, samples may be added in any order.
    if np.count_nonzero(obs) >= DENSE * obs.size and held + moved <= c.acc_high:
        for kind in (np.float32, np.float64):
            now = left & (sizes < largest_product(kind, c.shift_obs))
            if np.count_nonzero(now) >= FEWEST_SAMPLES:
                left ^= now
                bits = np.finfo(kind).nmant
                tile = aligned(np.zeros((TILE + 1, BLOCK // np.dtype(kind).itemsize), dtype=kind))
                lesson = (obs, modulator, changes, np.flatnonzero(now))
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
def accumulate_tiles(acc, obs, modulator, changes, chosen, low, high, shift, tile, middle):  # type: ignore[no-untyped-def]
    """The same where nothing saturates, for observations that are mostly not zero. What does not change costs nothing.

    A float whose last place is a unit rounds what is added to it to an integer; what is left to see to are halves,
    which it takes to even numbers. So every factor is two to four units in its last place larger than it should be:
    halves go away from zero, and nothing else changes, for products leave two bits (:func:`largest_product`). Where the
    processor rounds the product before it adds, the first of these units still outlives that.

    A block of rows stays in the processor, neuron after neuron, and a tile of a few samples in its nearest memory.

    Parameters
    ----------
    obs, modulator: raw, integer (B, S) and (B,).
    chosen: int64, samples that are added.
    tile: zeros (TILE + 1, observations of a block), of the float to compute with, the last row for sums; middle: of
        those of its numbers whose last place is a unit.
    The others are as above.
    """
    inputs, size, block = obs.shape[1], tile.shape[0] - 1, tile.shape[1]
    neurons, tiles = high - low, -(-chosen.size // size)
    # Of every tile and neuron: the samples that change it, eight by eight; the rest have a factor of 0.
    factor = np.zeros((tiles, neurons, size), dtype=tile.dtype)
    sample = np.zeros((tiles, neurons, size), dtype=np.uint8)
    number, scale = np.zeros((tiles, neurons), dtype=np.int64), modulator.astype(tile.dtype)
    grown = 2.0 ** -float(shift) * (1.0 + 2.0 * np.finfo(tile.dtype).eps)
    for i in range(chosen.size):
        t, change = i // size, changes[chosen[i], low:high]
        for j in range(neurons):
            if change[j] != 0:
                factor[t, j, number[t, j]] = change[j] * grown
                sample[t, j, number[t, j]] = i % size
                number[t, j] += 1
    cells, sums = np.zeros((neurons, block)), tile[size]
    for first in range(0, inputs, block):
        count = min(block, inputs - first)
        for s in range(count):
            for j in range(neurons):
                cells[j, s] = acc[first + s, low + j]
        for t in range(tiles):
            for i in range(min(size, chosen.size - t * size)):
                b = chosen[t * size + i]
                seen, row = obs[b, first : first + count], tile[i]
                for s in range(count):
                    row[s] = seen[s]
                    row[s] *= scale[b]
            for j in range(neurons):
                sums[:] = middle
                for k in range(0, number[t, j], 8):
                    f0, f1, f2, f3, f4, f5, f6, f7 = factor[t, j, k : k + 8]
                    b0, b1, b2, b3, b4, b5, b6, b7 = sample[t, j, k : k + 8]
                    r0, r1, r2, r3 = tile[b0], tile[b1], tile[b2], tile[b3]
                    r4, r5, r6, r7 = tile[b4], tile[b5], tile[b6], tile[b7]
                    for s in range(block):
                        few = sums[s] + r0[s] * f0 + r1[s] * f1 + r2[s] * f2 + r3[s] * f3
                        sums[s] = few + r4[s] * f4 + r5[s] * f5 + r6[s] * f6 + r7[s] * f7
                cell = cells[j]
                for s in range(block):
                    cell[s] += sums[s] - middle
        for s in range(count):
            for j in range(neurons):
                acc[first + s, low + j] = np.int64(cells[j, s])
