"""The store of draws against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.draws import DrawStore
from sim.bench.run import run


def check(groups: int, rounds_per_cycle: int, nonces: int, seed: int) -> None:
    config = DeviceConfig(inputs=1, groups=groups, group_size=2, actions=2)
    component = DrawStore(config, rounds_per_cycle=rounds_per_cycle)
    run(component, "sim.bench.draws", config=config, rounds_per_cycle=rounds_per_cycle, nonces=nonces, seed=seed)


def test_draws_of_a_decision_equal_golden() -> None:
    check(groups=9, rounds_per_cycle=4, nonces=40, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "rounds_per_cycle"), [(1, 20), (3, 2), (4, 1), (50, 4)])
def test_draws_of_any_number_of_groups_equal_golden(groups: int, rounds_per_cycle: int) -> None:
    check(groups, rounds_per_cycle, nonces=100, seed=2)
