"""The results' way out against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.results import Results
from sim.bench.designs import AllPorts
from sim.bench.run import run

# Groups with a beat in part, all of them no power of two beats; probabilities of two words.
UNEVEN = DeviceConfig(inputs=3, groups=3, group_size=5, actions=7, prob_frac=16)


def check(config: DeviceConfig, lanes: int, decisions: int, seed: int) -> None:
    component = AllPorts(Results(config, lanes=lanes))
    run(component, "sim.bench.results", config=config, lanes=lanes, decisions=decisions, seed=seed)


# The spikes of all steps behind the rest.
SPIKING = UNEVEN.replace(mode="spike", prob_frac=15, groups=2, steps=5, window=4)


@pytest.mark.parametrize("config", [UNEVEN, SPIKING], ids=["uneven", "spiking"])
def test_words_of_a_response_equal_golden(config: DeviceConfig) -> None:
    check(config, lanes=3, decisions=6, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "lanes"),
    [
        (DeviceConfig(inputs=4, groups=8, group_size=8, actions=5), 4),
        (DeviceConfig(inputs=1, groups=1, group_size=2, actions=2), 1),
        (DeviceConfig(inputs=1, groups=20, group_size=3, actions=18, prob_frac=16), 8),
    ],
    ids=["pendulum", "smallest", "more-groups-than-counts"],
)
def test_words_of_other_nets_equal_golden(config: DeviceConfig, lanes: int) -> None:
    check(config, lanes, decisions=20, seed=2)
