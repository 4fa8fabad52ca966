"""Spike mode of the compiled core: every answer and memory is golden's, and decisions cost what is foretold."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.arguments import Apply, apply_limits, obs_range, policies
from golden.client import FrameDevice
from golden.config import OBS_SPIKES, REMOVABLE, DeviceConfig
from golden.device import Device, Ints
from golden.errors import SvpgError
from hdl.options import CoreOptions
from sim.bench.frames import random_parameters
from sim.cost import bound, ceiling
from sim.device import core_library
from sim.model import VerilatedModel

ANALOG = DeviceConfig(
    inputs=5, groups=3, group_size=5, actions=4, lanes=6, mode="spike", steps=12, window=4, obs_bits=9, obs_frac=7
)
# A window as long as the decision, a generator that is slow, four lanes of blocks that are not filled.
BERNOULLI = ANALOG.replace(obs_spikes="bernoulli", steps=8, window=8, inputs=11, groups=4, removed="hh", lanes=20)
CORES = {
    "analog": (ANALOG, CoreOptions(softmax_lanes=2, in_logic=True)),
    "bernoulli": (BERNOULLI, CoreOptions.usual(BERNOULLI, softmax_lanes=3).learning(["published", "contrastive"])),
}
NETS = ("zero", "small", "any", "ends")


class Pair:
    """Golden and the compiled core with the same memories."""

    def __init__(self, config: DeviceConfig, options: CoreOptions, seed: int) -> None:
        self.config, self.options = config, options
        self.rng = np.random.default_rng(seed)
        self.golden = Device(config)
        self.core = FrameDevice(config, VerilatedModel(core_library(config, options)))

    def load(self, net: str, seed: int) -> None:
        """A random net, nothing learned."""
        for section, values in zip(
            ("weight", "bias"), random_parameters(self.config, random.Random(seed), net), strict=True
        ):
            for device in (self.golden, self.core):
                device.load(section, np.ravel(values))
        for device in (self.golden, self.core):
            device.clear_learning()

    def batch(self, count: int) -> tuple[Ints, NDArray[np.uint64]]:
        """Observations, the ends of their range and none at all among them, and nonces."""
        low, high = obs_range(self.config)
        obs = self.rng.integers(low, high + 1, (count, self.config.inputs))
        obs[self.rng.random(obs.shape) < 0.3] = 0
        obs[:3] = np.array([0, low, high])[:, None]
        return obs, self.rng.integers(0, 2**64, count, dtype=np.uint64)

    def decide(self, policy: str, count: int = 16) -> None:
        """The same decisions on both, within the bounds of their cost."""
        obs, nonce = self.batch(count)
        expected, found = self.golden.infer(obs, nonce, policy), self.core.infer(obs, nonce, policy, spikes=True)
        for name, values in vars(expected).items():
            assert np.array_equal(values, getattr(found, name)), name
        words = [int(number) for number in expected.row_words]
        least = [bound(self.config, self.options, number, self.config.steps) for number in words]
        most = [ceiling(self.config, self.options, number, self.config.steps, policy) for number in words]
        assert (least <= found.cycles).all() and (found.cycles <= most).all()

    def learn(self, rule: str, optimiser: str, count: int = 12) -> None:
        """The same samples and the same update on both."""
        config, rng = self.config, self.rng
        obs, nonce = self.batch(count)
        winners = np.zeros((count, config.groups + 1), dtype=np.int64)
        winners[:, -1] = rng.integers(0, config.actions, count)
        modulator = rng.integers(config.modulator.low, config.modulator.high + 1, count)
        modulator[1] = 0
        expected = self.golden.learn(obs, winners, modulator, rule, nonce)
        found = self.core.learn(obs, winners, modulator, rule, nonce)
        for name, values in vars(expected).items():
            assert np.array_equal(values, getattr(found, name)), name
        limits = apply_limits(config, optimiser)
        update = Apply(
            optimiser,
            **{
                name: int(rng.integers(low, min(high, 6) + 1)) if low <= 6 else low
                for name, (low, high) in limits.items()
            },
        )
        self.golden.apply(update)
        self.core.apply(update)
        for section in ("weight", "bias", "acc", "acc_bias"):
            assert np.array_equal(self.golden.read(section), self.core.read(section)), section


def check(pair: Pair, nets: tuple[str, ...]) -> None:
    """Every policy on every net; every rule and optimiser of the build."""
    abilities = pair.options.abilities.within(pair.config)
    for seed, net in enumerate(nets):
        pair.load(net, seed)
        for policy in policies(pair.config):
            pair.decide(policy)
        if abilities.learns:
            for rule in sorted(abilities.rules):
                for optimiser in sorted(abilities.optimisers):
                    pair.learn(rule, optimiser)


# The bench of the core that learns from spikes has random numbers for observations as well (tests/test_hdl_core.py).
@pytest.mark.parametrize("name", ["analog", pytest.param("bernoulli", marks=pytest.mark.slow)])
def test_the_core_equals_golden(name: str) -> None:
    check(Pair(*CORES[name], seed=1), NETS)


def random_core(rng: random.Random, removed: str) -> tuple[DeviceConfig, CoreOptions]:
    """Any small device of spike mode and any build of it."""
    while True:
        try:
            activity_frac = rng.randint(4, 12)
            window = 1 << rng.randint(0, min(6, activity_frac))
            config = DeviceConfig(
                inputs=rng.choice((1, 2, rng.randint(3, 20), rng.randint(20, 60))),
                groups=rng.randint(1, 6),
                group_size=rng.randint(2, 12),
                actions=rng.randint(2, 12),
                removed=removed,
                weight_bits=rng.choice((4, 8, 12, 16, 17)),
                weight_frac=rng.randint(0, 12),
                obs_bits=rng.choice((4, 8, 12, 16)),
                obs_frac=rng.randint(0, 10),
                activity_frac=activity_frac,
                prob_frac=rng.randint(8, 15),
                exp_index_bits=rng.randint(4, 11),
                acc_frac=rng.randint(4, 10),
                moment_frac=8,
                lanes=rng.randint(1, 24),
                mode="spike",
                window=window,
                steps=window + rng.choice((0, 1, rng.randint(0, 12))),
                obs_spikes=rng.choice(OBS_SPIKES),
            )
        except SvpgError:
            continue
        rules = rng.choice(([], ["published"], ["contrastive"], ["published", "contrastive"]))
        options = CoreOptions(
            softmax_lanes=rng.randint(1, min(config.lanes, 6)),
            rounds_per_cycle=rng.choice((1, 2, 4)),
            pipelined=rng.random() < 0.4,
            in_logic=rng.random() < 0.5,
            products=rng.choice((1, 2)),
            rules=",".join(rules),
            optimisers=rng.choice(("sgd", "rmsprop", "sign")) if rules else "",
        )
        return config, options


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_any_core_equals_golden(removed: str, seed: int) -> None:
    check(Pair(*random_core(random.Random(f"{removed} {seed}"), removed), seed=seed), ("small", "any"))
