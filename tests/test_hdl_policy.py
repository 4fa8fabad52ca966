"""The mean policy of a window against the document, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.policy import PolicyMean
from sim.bench.designs import AllPorts
from sim.bench.run import run


def check(actions: int, window: int, lanes: int, windows: int) -> None:
    config = DeviceConfig(
        inputs=1, groups=1, group_size=2, actions=actions, mode="spike", steps=64, window=window, prob_frac=15
    )
    component = AllPorts(PolicyMean(config, lanes=lanes))
    run(component, "sim.bench.policy", config=config, lanes=lanes, windows=windows, seed=1)


def test_means_are_those_of_the_document() -> None:
    check(actions=7, window=8, lanes=3, windows=10)


@pytest.mark.slow
@pytest.mark.parametrize(("actions", "window", "lanes"), [(2, 1, 1), (5, 1, 8), (18, 64, 4), (8, 2, 8)])
def test_means_of_any_window(actions: int, window: int, lanes: int) -> None:
    check(actions, window, lanes, windows=40)
