"""Assigned activities against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.assign import Assigner
from sim.bench.run import run

# Groups of full beats only, and one with a beat in part.
UNEVEN = DeviceConfig(inputs=3, groups=3, group_size=6, actions=7, activity_frac=10)


def check(config: DeviceConfig, lanes: int, groups: int, seed: int) -> None:
    run(Assigner(config, lanes=lanes), "sim.bench.assign", config=config, lanes=lanes, groups=groups, seed=seed)


def test_assigned_activities_equal_golden() -> None:
    check(UNEVEN, lanes=3, groups=150, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "actions", "lanes"), [(8, 5, 1), (8, 5, 8), (2, 18, 4), (64, 2, 7)])
def test_assigned_activities_equal_golden_for_any_group_size(hidden: int, actions: int, lanes: int) -> None:
    config = DeviceConfig(inputs=1, groups=2, group_size=hidden, actions=actions)
    check(config, lanes=lanes, groups=400, seed=2)
