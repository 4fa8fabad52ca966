"""The mover against golden, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.config import REMOVABLE, DeviceConfig
from hdl.mover import Mover
from sim.bench.run import run

# Beats in part and full ones, observations finer than activities; action rows that reach nothing.
UNEVEN = DeviceConfig(inputs=3, groups=3, group_size=5, actions=6, activity_frac=6, removed="ha")
PENDULUM = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5)


def check(config: DeviceConfig, lanes: int, learns: bool, passes: int, resets: int, seed: int) -> None:
    component = Mover(config, lanes=lanes, learns=learns)
    run(
        component, "sim.bench.mover", config=config, lanes=lanes, learns=learns, passes=passes, resets=resets, seed=seed
    )


@pytest.mark.parametrize(
    ("config", "lanes", "learns"), [(UNEVEN, 3, True), (PENDULUM, 4, False)], ids=["uneven", "pendulum"]
)
def test_moves_equal_golden(config: DeviceConfig, lanes: int, learns: bool) -> None:
    check(config, lanes, learns, passes=25, resets=20, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_moves_of_any_net_equal_golden(removed: str) -> None:
    rng = random.Random(removed)
    config = DeviceConfig(
        inputs=1,
        groups=rng.randint(1, 5),
        group_size=rng.randint(2, 16),
        actions=rng.randint(2, 18),
        removed=removed,
        activity_frac=rng.randint(6, 14),
    )
    check(config, rng.randint(1, 8), True, passes=60, resets=60, seed=2)
