"""The draws of spikes against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.spike_draws import SpikeDraws
from sim.bench.run import run


def check(groups: int, steps: int, window: int, rounds_per_cycle: int, pipelined: bool, phases: int) -> None:
    config = DeviceConfig(inputs=1, groups=groups, group_size=2, actions=2, mode="spike", steps=steps, window=window)
    random = {"rounds_per_cycle": rounds_per_cycle, "pipelined": pipelined}
    run(SpikeDraws(config, **random), "sim.bench.spike_draws", config=config, phases=phases, seed=1, **random)


# The action's draw is alone in its block, which a clamped phase leaves out.
@pytest.mark.parametrize(("groups", "pipelined"), [(4, True), (2, False)], ids=["pipelined", "iterative"])
def test_draws_of_spikes_equal_golden(groups: int, pipelined: bool) -> None:
    check(groups, steps=6, window=4, rounds_per_cycle=4, pipelined=pipelined, phases=8)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 3, 7, 8, 20])
@pytest.mark.parametrize("rounds_per_cycle", [1, 20, 0])
def test_draws_of_any_number_of_groups_equal_golden(groups: int, rounds_per_cycle: int) -> None:
    check(groups, 9, 8, rounds_per_cycle or 1, rounds_per_cycle == 0, phases=20)
