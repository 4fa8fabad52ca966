"""The reproducible random start (docs/numerics.md, "Random start")."""

from __future__ import annotations

import math

import numpy as np

from golden.compiled import compiled
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.fixed import LOG2E
from golden.parameters import Parameters, from_octaves
from golden.rng import DRAWS_PER_BLOCK, STREAM_START, threefry2x32

DRAWS_PER_WEIGHT = 8
"""A weight is the centred sum of eight uniform draws: normal enough, bounded at 4.9 standard deviations."""

SUM_DEVIATION = 65536.0 * math.sqrt(DRAWS_PER_WEIGHT / 12.0)
"""Standard deviation of that sum."""

_SCALE_FRAC = 32


@compiled
def start_sums(nonce, count):  # type: ignore[no-untyped-def]
    """Centred sums of consecutive runs of DRAWS_PER_WEIGHT draws on the start stream, int64 (count,)."""
    sums = np.empty(count, dtype=np.int64)
    key = np.uint64(nonce)
    half, shift = np.uint64(0xFFFF), np.uint64(16)
    blocks = DRAWS_PER_WEIGHT // DRAWS_PER_BLOCK
    for weight in range(count):
        total = np.int64(0)
        for block in range(weight * blocks, (weight + 1) * blocks):
            x0, x1 = threefry2x32(key & np.uint64(0xFFFFFFFF), key >> np.uint64(32), block, STREAM_START)
            total += np.int64((x0 & half) + (x0 >> shift) + (x1 & half) + (x1 >> shift))
        sums[weight] = total - DRAWS_PER_WEIGHT // 2 * 65535
    return sums


def random_start(config: DeviceConfig, seed: int, recurrent: float, observation: float) -> Parameters:
    """Random weights of mean zero, symmetric, zero where no synapse exists; biases zero.

    Parameters
    ----------
    seed: 64-bit nonce; the same integers on every platform.
    recurrent, observation: standard deviations in nats of the recurrent and observation weights.

    Raises
    ------
    SvpgError: a deviation so large that weights would leave the format.
    """
    p, n = config.sources, config.neurons
    total = start_sums(np.uint64(seed), p * n).reshape(p, n)
    weight = np.empty((p, n), dtype=np.int64)
    for rows, deviation in ((slice(0, n), recurrent), (slice(n, p), observation)):
        scale = round(deviation * LOG2E * (1 << config.weight_frac) * (1 << _SCALE_FRAC) / SUM_DEVIATION)
        product = total[rows] * scale
        half = 1 << (_SCALE_FRAC - 1)
        weight[rows] = np.where(product < 0, -((-product + half) >> _SCALE_FRAC), (product + half) >> _SCALE_FRAC)
    if np.abs(weight).max(initial=0) > config.weight.high:
        raise SvpgError(
            f"a random start of {max(recurrent, observation):g} nats leaves the weight format {config.weight}; lower it"
        )
    upper = np.triu(weight[:n], 1)
    weight[:n] = upper + upper.T
    weight[~config.mask] = 0
    return from_octaves(config, weight, np.zeros(n, dtype=np.int64))
