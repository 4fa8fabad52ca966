"""Observations of a whole batch at once, to the same bits as one event after the other.

Where a device has thousands of inputs, almost all work is theirs. What they add to the potentials is a product of two
integer matrices, which BLAS computes exactly in float64; what they add to the accumulators is done row by row, so that
a row stays in the processor while all samples of the batch pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.compiled import compiled
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, Constants, clamp, shift_round

Ints = NDArray[np.int64]

FEWEST_INPUTS, FEWEST_SAMPLES = 512, 8
"""Smaller devices and batches gain nothing."""

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


@compiled
def accumulate_observations(acc, scaled, changes, low, high, shift, bottom, top):  # type: ignore[no-untyped-def]
    """``acc[s, j] += round(scaled[s, b] * changes[b, j])`` for all samples b in order, saturating.

    The observation rows of :func:`golden.plasticity.accumulate_sample`.

    Parameters
    ----------
    acc: observation rows of the accumulators (S, N).
    scaled: int64 (S, B), modulator times raw observation.
    changes: int64 (B, N), what the rule makes of the activities.
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
