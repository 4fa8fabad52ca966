"""The sampler against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.sampler import Sampler
from sim.bench.run import run

PENDULUM = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5)
LARGE = DeviceConfig(inputs=4, groups=2, group_size=64, actions=3)


def check(config: DeviceConfig, lanes: int, groups: int, seed: int) -> None:
    run(Sampler(config, lanes=lanes), "sim.bench.sampler", config=config, lanes=lanes, groups=groups, seed=seed)


def test_winners_of_the_pendulum_net_equal_golden() -> None:
    check(PENDULUM, lanes=4, groups=60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("config", "lanes"), [(PENDULUM, 1), (PENDULUM, 8), (LARGE, 4), (LARGE, 7)])
def test_winners_equal_golden_at_length(config: DeviceConfig, lanes: int) -> None:
    check(config, lanes=lanes, groups=400, seed=2)
