"""The observation queue against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.observations import ObservationQueue
from sim.bench.designs import AllPorts
from sim.bench.run import run


def check(inputs: int, obs_bits: int, decisions: int, seed: int) -> None:
    config = DeviceConfig(inputs=inputs, groups=1, group_size=2, actions=2, obs_bits=obs_bits)
    run(AllPorts(ObservationQueue(config)), "sim.bench.observations", config=config, decisions=decisions, seed=seed)


def test_observations_come_as_golden_goes_through_them() -> None:
    # As many as need one bit more to count them than to number them.
    check(inputs=8, obs_bits=12, decisions=40, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "obs_bits"), [(1, 2), (2, 8), (16, 18), (100, 12)])
def test_any_number_of_observations(inputs: int, obs_bits: int) -> None:
    check(inputs, obs_bits, decisions=60, seed=2)
