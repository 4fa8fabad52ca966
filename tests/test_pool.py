"""Devices that share work are one device, to the bit, whatever is asked of them and in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from golden.arguments import ACCUMULATORS, OPTIMISERS, RULES, SECTIONS, Apply
from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Device
from golden.server import FrameServer
from sim import pool as shared
from sim.pool import Pool, largest_growth
from tests.test_golden_oracle import fill, fill_matrix, random_winners

CONFIG = DeviceConfig(inputs=4, groups=2, group_size=3, actions=2, lanes=7)
NARROW = CONFIG.replace(acc_bits=20)
"""Accumulators that a few samples may saturate."""


class Counted(FrameDevice):
    """A device that counts the samples it has learned."""

    samples = 0

    def learn(self, obs, *arguments):  # type: ignore[no-untyped-def]
        self.samples += len(obs)
        return super().learn(obs, *arguments)


def make(config: DeviceConfig, count: int) -> tuple[Pool, list[Counted]]:
    devices = [Counted(config, FrameServer(config)) for _ in range(count)]
    rng = np.random.default_rng(9)
    for number, device in enumerate(devices):
        # As hardware: what memories hold at first is not known.
        for section in SECTIONS:
            size = device.read(section).size
            if section in ("weight", "acc", "moment"):
                values = fill_matrix(config, Device(config).section_format(section), "small", rng)
            else:
                values = fill(Device(config).section_format(section), size, "small", rng)
            device.load(section, np.abs(values) * number)
    return Pool(devices), devices


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share samples although it does not pay on so small a device."""
    monkeypatch.setattr(shared, "CYCLES_PER_NEURON", 10**6)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("config", [CONFIG, NARROW], ids=["wide", "narrow"])
def test_a_history_leaves_what_one_device_has(eager: None, config: DeviceConfig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool, _ = make(config, 2 + seed % 2)
    alone = Device(config)
    for section in SECTIONS:
        pool.load(section, np.zeros_like(alone.read(section)))
    for kind in rng.choice(["learn", "learn", "learn", "apply", "read", "load", "clear", "infer"], 40):
        batch = int(rng.integers(1, 7))
        obs = fill(config.obs, (batch, config.inputs), "small", rng)
        if kind == "learn":
            rule, winners = str(rng.choice(sorted(RULES))), random_winners(config, batch, rng)
            modulator = fill(config.modulator, batch, str(rng.choice(["small", "wide"])), rng)
            counters = pool.learn(obs, winners, modulator, rule)
            assert counters is not None
            expected = alone.learn(obs, winners, modulator, rule)
            assert all(np.array_equal(values, getattr(counters, name)) for name, values in vars(expected).items())
        elif kind == "apply":
            update = Apply(str(rng.choice(sorted(OPTIMISERS))), mean_shift=1, rate=2, obs_rate=3)
            pool.apply(update)
            alone.apply(update)
        elif kind == "read":
            section = str(rng.choice(SECTIONS))
            assert np.array_equal(pool.read(section), alone.read(section)), section
        elif kind == "load":
            section = str(rng.choice(["weight", "acc", "moment"]))
            values = fill_matrix(config, alone.section_format(section), "small", rng)
            pool.load(section, values)
            alone.load(section, values)
        elif kind == "clear":
            pool.clear_learning()
            alone.clear_learning()
        else:
            nonce = rng.integers(0, 2**63, batch).astype(np.uint64)
            found, wanted = pool.infer(obs, nonce), alone.infer(obs, nonce)
            assert all(np.array_equal(values, getattr(found, name)) for name, values in vars(wanted).items())
    for section in SECTIONS:
        assert np.array_equal(pool.read(section), alone.read(section)), section


def learned(pool: Pool, modulator: int, batch: int = 8) -> None:
    obs = np.full((batch, CONFIG.inputs), 100)
    pool.learn(obs, np.zeros((batch, CONFIG.groups + 1), dtype=np.int64), np.full(batch, modulator), "published")


def test_samples_are_shared_where_nothing_can_saturate(eager: None) -> None:
    pool, devices = make(CONFIG, 2)
    learned(pool, 10)
    assert [device.samples for device in devices] == [8, 0], "nobody knows what accumulators hold"
    pool.clear_learning()
    learned(pool, 10)
    learned(pool, 10)
    assert [device.samples for device in devices] == [16, 8]
    pool, devices = make(NARROW, 2)
    pool.clear_learning()
    learned(pool, 10)
    learned(pool, 511)
    assert [device.samples for device in devices] == [12, 4], "these might saturate"


@pytest.mark.parametrize(
    ("batch", "sizes", "shares"),
    [
        (128, {"inputs": 4, "groups": 8, "group_size": 8, "actions": 5, "lanes": 69}, True),
        (100, {"inputs": 784}, False),
    ],
)
def test_samples_are_shared_where_it_pays(batch: int, sizes: dict[str, int], shares: bool) -> None:
    config = DeviceConfig(**({"groups": 20, "group_size": 10, "actions": 10} | sizes))
    for count, expected in ((1, False), (2, shares)):
        pool = Pool([FrameDevice(config, FrameServer(config)) for _ in range(count)])
        assert pool._shares(batch) == expected
        assert not pool._shares(1)


def extreme(rng: np.random.Generator, choose: Callable[[int, int], int]) -> DeviceConfig:
    return CONFIG.replace(
        obs_bits=choose(10, 16),
        obs_frac=choose(4, 10),
        activity_frac=choose(6, 10),
        modulator_bits=choose(6, 12),
        modulator_frac=choose(2, 6),
        acc_frac=choose(4, 10),
        moment_frac=8,
        acc_bits=48,
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_accumulator_grows_more_than_stated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = extreme(rng, lambda low, high: int(rng.integers(low, high, endpoint=True)))
    device = Device(config)
    device.load("weight", fill_matrix(config, config.weight, "extreme", rng))
    obs = fill(config.obs, (5, config.inputs), "extreme", rng)
    modulator = fill(config.modulator, 5, "extreme", rng)
    for rule in RULES:
        device.clear_learning()
        device.learn(obs, random_winners(config, 5, rng), modulator, rule)
        most = max(int(np.abs(device.read(section)).max()) for section in ACCUMULATORS)
        assert most <= largest_growth(config, obs, modulator)
