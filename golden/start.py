"""The reproducible random start (docs/numerics.md, "Random start")."""

from __future__ import annotations

import math

import numpy as np

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.fixed import LOG2E
from golden.parameters import Parameters, from_octaves
from golden.rng import STREAM_START, draws

DRAWS_PER_WEIGHT = 8
"""A weight is the centred sum of eight uniform draws: normal enough, bounded at 4.9 standard deviations."""

SUM_DEVIATION = 65536.0 * math.sqrt(DRAWS_PER_WEIGHT / 12.0)
"""Standard deviation of that sum."""

_SCALE_FRAC = 32


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
    nonce = np.array([seed], dtype=np.uint64)
    uniform = draws(nonce, p * n * DRAWS_PER_WEIGHT, STREAM_START).reshape(p, n, DRAWS_PER_WEIGHT)
    total = uniform.sum(axis=2) - DRAWS_PER_WEIGHT // 2 * 65535
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
