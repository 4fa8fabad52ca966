"""Typical work of a core, by which its compiler learns which ways through the model are usual."""

from __future__ import annotations

import numpy as np

from golden.arguments import PARAMETERS, Apply
from golden.client import FrameDevice
from golden.protocol import Abilities

SAMPLES = 32
"""Decisions and samples of each rule."""

SILENT = 0.5
"""Share of observations that are zero."""

UPDATE = {"mean_shift": 5, "rate": 9, "obs_rate": 9}


def practise(device: FrameDevice, abilities: Abilities) -> None:
    """Do all that a core can do: random samples on random parameters, updates, parameters read and loaded."""
    config = device.config
    rng = np.random.default_rng(0)
    device.load("weight", config.weight.quantise(rng.normal(size=config.mask.shape)) * config.mask)
    obs = config.obs.quantise(rng.uniform(size=(SAMPLES, config.inputs)))
    obs[rng.uniform(size=obs.shape) < SILENT] = 0
    nonce = np.arange(SAMPLES, dtype=np.uint64)
    winners = device.infer(obs, nonce).winners
    device.infer(obs, nonce, activity=False)
    for rule in sorted(abilities.within(config).rules):
        device.learn(obs, winners, config.modulator.quantise(rng.normal(size=SAMPLES)), rule, nonce, counters=False)
    for optimiser in sorted(abilities.optimisers):
        device.apply(Apply(optimiser, **UPDATE))
    for section in PARAMETERS:
        device.load(section, device.read(section))
