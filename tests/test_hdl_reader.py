"""The command reader against golden, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.config import REMOVABLE, DeviceConfig
from golden.protocol import EVERYTHING
from hdl.reader import CommandReader
from sim.bench.designs import AllPorts
from sim.bench.run import run

# Values of two words, rows of several with columns beyond the last neuron.
WIDE = DeviceConfig(inputs=3, groups=3, group_size=3, actions=4, lanes=5, weight_bits=18, obs_bits=18, removed="hhsa")


def check(config: DeviceConfig, frames: int, resets: int, seed: int) -> None:
    component = AllPorts(CommandReader(config, EVERYTHING))
    run(component, "sim.bench.reader", config=config, frames=frames, resets=resets, seed=seed)


# Samples have a nonce, observations are no less than 0 and no more than 1.
SPIKING = WIDE.replace(mode="spike", prob_frac=15, steps=5, window=4, obs_spikes="bernoulli", obs_bits=12)


@pytest.mark.parametrize("config", [WIDE, SPIKING], ids=["wide", "spiking"])
def test_requests_equal_golden(config: DeviceConfig) -> None:
    check(config, frames=150, resets=12, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_requests_of_any_device_equal_golden(removed: str) -> None:
    rng = random.Random(removed)
    config = DeviceConfig(
        inputs=rng.choice((1, 2, 30)),
        groups=rng.randint(1, 5),
        group_size=rng.randint(2, 9),
        actions=rng.randint(2, 9),
        removed=removed,
        lanes=rng.randint(1, 20),
        weight_bits=rng.choice((4, 12, 16, 17, 24)),
        weight_frac=2,
        obs_bits=rng.choice((2, 12, 16, 17, 18)),
    )
    check(config, frames=600, resets=60, seed=2)
