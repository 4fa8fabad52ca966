"""Spikes in their windows against the document, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.shifter import SpikeShifter
from sim.bench.run import run


def check(config: DeviceConfig, lanes: int, decisions: int) -> None:
    run(SpikeShifter(config, lanes=lanes), "sim.bench.shifter", config=config, lanes=lanes, decisions=decisions, seed=1)


# Groups with a beat in part, an action group of more beats than the others.
UNEVEN = DeviceConfig(inputs=1, groups=3, group_size=5, actions=7, mode="spike", steps=7, window=4, activity_frac=6)


def test_traces_follow_from_spikes() -> None:
    check(UNEVEN, lanes=3, decisions=4)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2, 8, 64])
@pytest.mark.parametrize("lanes", [1, 4])
def test_traces_of_any_window(window: int, lanes: int) -> None:
    for more in (0, 1, 5):
        check(UNEVEN.replace(window=window, steps=window + more), lanes, decisions=4)
