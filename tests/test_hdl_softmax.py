"""The softmax against golden, on Verilator."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.config import EXP_FRAC, RECIPROCAL_FRAC, RECIPROCAL_REMAINDER_BITS, DeviceConfig
from golden.errors import SvpgError
from golden.tables import reciprocal_table
from hdl.softmax import Softmax
from sim.bench.run import run

POLICY = Path(__file__).parent / "data" / "pendulum_policy.npz"
PENDULUM = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5)
# Potentials with fewer fraction bits than the table has index bits, a group of one beat, one that leaves lanes empty.
COARSE = DeviceConfig(
    inputs=3,
    groups=2,
    group_size=3,
    actions=7,
    weight_bits=6,
    weight_frac=1,
    obs_bits=5,
    obs_frac=2,
    activity_frac=4,
    acc_frac=8,
    moment_frac=16,
    exp_index_bits=6,
    prob_frac=16,
)


def check(config: DeviceConfig, lanes: int, groups: int, seed: int, **more: Any) -> None:
    run(Softmax(config, lanes=lanes), "sim.bench.softmax", config=config, lanes=lanes, groups=groups, seed=seed, **more)


def test_softmax_of_the_pendulum_net_equals_golden() -> None:
    check(PENDULUM, lanes=4, groups=100, seed=1, policy=str(POLICY), decisions=10)


def test_softmax_of_coarse_potentials_equals_golden() -> None:
    check(COARSE, lanes=5, groups=100, seed=2)


def random_config(rng: random.Random) -> DeviceConfig:
    """Formats and group sizes anywhere in their ranges."""
    while True:
        fields = {
            "inputs": rng.randint(1, 20),
            "groups": rng.randint(1, 4),
            "group_size": rng.randint(2, 64),
            "actions": rng.randint(2, 64),
            "weight_bits": rng.randint(4, 18),
            "weight_frac": rng.randint(0, 16),
            "obs_bits": rng.randint(2, 16),
            "obs_frac": rng.randint(0, 12),
            "activity_frac": rng.randint(4, 14),
            "prob_frac": rng.randint(8, 16),
            "exp_index_bits": rng.randint(4, 11),
            "modulator_frac": 6,
            "acc_frac": 8,
            "moment_frac": 16,
        }
        try:
            return DeviceConfig(**fields)
        except SvpgError:
            continue


def test_no_activity_exceeds_one_even_without_a_limit() -> None:
    """The hardware leaves golden's limit out: the largest term over every sum it can be part of."""
    totals = np.arange(1 << EXP_FRAC, (64 << EXP_FRAC) + 1, dtype=np.int64)
    exponent = np.frexp(totals)[1].astype(np.int64) - 1
    mantissa = (totals << 16) >> exponent
    base, slope = reciprocal_table()
    index = mantissa >> RECIPROCAL_REMAINDER_BITS & 63
    remainder = mantissa & ((1 << RECIPROCAL_REMAINDER_BITS) - 1)
    r = base[index] - (slope[index] * remainder >> RECIPROCAL_REMAINDER_BITS)
    for frac in range(4, 17):
        shift = RECIPROCAL_FRAC + exponent - frac
        rounded = ((r << EXP_FRAC) + (1 << (shift - 1))) >> shift
        assert rounded.max() == 1 << frac


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_softmax_of_random_formats_equals_golden(seed: int) -> None:
    rng = random.Random(seed)
    check(random_config(rng), lanes=rng.choice((1, 2, 3, 4, 6, 8)), groups=250, seed=seed)


@pytest.mark.slow
def test_softmax_of_the_trained_net_equals_golden_at_length() -> None:
    check(PENDULUM, lanes=8, groups=1000, seed=3, policy=str(POLICY), decisions=400)
