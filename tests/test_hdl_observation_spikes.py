"""Spikes of observations against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from sim.bench.designs import ObservedQueue
from sim.bench.run import run


def check(config: DeviceConfig, rounds_per_cycle: int, pipelined: bool, decisions: int) -> None:
    random = {"rounds_per_cycle": rounds_per_cycle, "pipelined": pipelined}
    component = ObservedQueue(config, **random)
    run(component, "sim.bench.observation_spikes", config=config, decisions=decisions, seed=1, **random)


# More observations than a block has draws, in the last block fewer.
ELEVEN = DeviceConfig(
    inputs=11, groups=1, group_size=2, actions=2, mode="spike", steps=5, window=4, obs_spikes="bernoulli", obs_bits=10
)


def test_spikes_of_observations_equal_golden() -> None:
    check(ELEVEN, rounds_per_cycle=1, pipelined=True, decisions=6)


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "obs_frac", "window"), [(1, 8, 1), (2, 10, 64), (40, 12, 8), (16, 3, 2)])
def test_spikes_of_any_observations_equal_golden(inputs: int, obs_frac: int, window: int) -> None:
    config = ELEVEN.replace(inputs=inputs, obs_frac=obs_frac, obs_bits=obs_frac + 2, window=window, steps=window + 3)
    for rounds_per_cycle in (1, 4, 0):
        check(config, rounds_per_cycle or 1, rounds_per_cycle == 0, decisions=5)
