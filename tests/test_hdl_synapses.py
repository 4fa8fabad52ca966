"""The table of synapses against golden's mask, on Verilator."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from sim.bench.designs import SynapseTables
from sim.bench.run import run


def check(config: DeviceConfig, rows: int, seed: int) -> None:
    run(SynapseTables(config), "sim.bench.synapses", config=config, rows=rows, seed=seed)


def test_every_synapse_of_every_pattern() -> None:
    # Columns beyond the last neuron, in a word of their own row and beyond the addresses of the neurons.
    check(DeviceConfig(inputs=5, groups=3, group_size=3, actions=4, lanes=6), rows=300, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        DeviceConfig(inputs=4, groups=8, group_size=8, actions=5),
        DeviceConfig(inputs=1, groups=1, group_size=2, actions=2, lanes=1),
        DeviceConfig(inputs=40, groups=1, group_size=16, actions=18, lanes=7),
        DeviceConfig(inputs=2, groups=5, group_size=2, actions=9, lanes=40),
    ],
    ids=["pendulum", "smallest", "one-group", "wide-words"],
)
def test_every_synapse_of_other_nets(config: DeviceConfig) -> None:
    check(config, rows=1000, seed=2)
