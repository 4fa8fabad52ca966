"""Claims of docs/learning.md, "Spikes": what traces, clamping and common random numbers do to the estimate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.reference import FloatNetwork
from golden.spike_reference import SpikingNetwork

WINDOW = 8


def spikes(rng: np.random.Generator, q: float, count: int) -> np.ndarray:
    return (rng.random((count, WINDOW)) < q).astype(float)


@pytest.mark.parametrize(("q", "p"), [(0.1, 0.1), (0.3, 0.7)])
def test_products_of_traces_vary_less_than_coincidences_in_one_step(q: float, p: float) -> None:
    rng = np.random.default_rng(0)
    a, b = spikes(rng, q, 400_000), spikes(rng, p, 400_000)
    stepwise, product = (a * b).mean(axis=1), a.mean(axis=1) * b.mean(axis=1)
    assert stepwise.mean() == pytest.approx(q * p, rel=0.01)
    assert product.mean() == pytest.approx(q * p, rel=0.01)
    gain = (1 / WINDOW - 1 / WINDOW**2) * q * (1 - q) * p * (1 - p)
    assert stepwise.var() - product.var() == pytest.approx(gain, rel=0.03)
    if q == p:
        assert stepwise.var() / product.var() == pytest.approx(3.5, abs=0.15)


def network(removed: str, deviation: float, seed: int = 0) -> tuple[DeviceConfig, SpikingNetwork]:
    config = DeviceConfig(
        inputs=3, groups=2, group_size=3, actions=3, removed=removed, mode="spike", steps=2 * WINDOW, window=WINDOW
    )
    rng = np.random.default_rng(seed)
    n = config.neurons
    weight = rng.normal(0, deviation, (config.sources, n)) * config.mask
    weight[:n] = np.triu(weight[:n]) + np.triu(weight[:n]).T
    floats = FloatNetwork(config, torch.float64)
    floats.load(Parameters(weight, rng.normal(0, 1, n), 2, 3, 3, 3))
    return config, SpikingNetwork(floats)


def phases(config: DeviceConfig, net: SpikingNetwork, count: int, common: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Traces at the end of the free and of the clamped phase, (count, N) each."""
    rng = torch.Generator().manual_seed(1)
    obs = torch.tensor([[0.2, 0.9, 0.5]], dtype=torch.float64).expand(count, 3)
    draws = torch.rand(config.steps + WINDOW, count, config.groups + 1, generator=rng, dtype=torch.float64)
    free = net.free(obs, draws[: config.steps])
    again = draws[config.steps - WINDOW : config.steps] if common else draws[config.steps :]
    clamped = net.clamped(obs, free, again, torch.ones(count, dtype=torch.int64))
    return free.trace[-1], clamped.trace[-1]


def test_without_hidden_links_clamped_coincidences_are_exact() -> None:
    config, net = network("hhsa", 1.0)
    _, clamped = phases(config, net, 40_000, common=True)
    h, floats = config.hidden, net.network
    drive = floats.drive(torch.tensor([[0.2, 0.9, 0.5]], dtype=torch.float64))
    # Given action 1 the hidden groups are independent, each a softmax of its own potentials.
    u = drive[0, :h] + 2 * floats.recurrent[h + 1, :h]
    exact = torch.softmax(u.reshape(2, 3), -1).ravel()
    assert torch.allclose(clamped[:, :h].mean(0), exact, atol=0.005)
    pairs = (clamped[:, :3, None] * clamped[:, None, 3:h]).mean(0)
    assert torch.allclose(pairs, exact[:3, None] * exact[None, 3:], atol=0.005)


def test_common_numbers_vanish_with_the_change_and_fresh_ones_do_not() -> None:
    noise = {}
    for deviation in (0.01, 0.1):
        config, net = network("hhsa", deviation)
        for common in (True, False):
            free, clamped = phases(config, net, 4_000, common)
            noise[deviation, common] = float((clamped - free)[:, : config.hidden].var(0).mean())
    assert noise[0.01, True] < 0.2 * noise[0.1, True]
    assert noise[0.01, False] == pytest.approx(noise[0.1, False], rel=0.1)
    assert noise[0.1, True] < 0.2 * noise[0.1, False]


def test_a_shared_random_number_bounds_how_often_spikes_differ() -> None:
    rng = np.random.default_rng(0)
    q, c = np.array([0.2, 0.5, 0.3]), np.array([0.25, 0.35, 0.4])
    u = rng.random(200_000)
    spike, clamped = (np.searchsorted(np.cumsum(p), u, side="right") for p in (q, c))
    distances = np.concatenate([[0.0], np.abs(np.cumsum(c) - np.cumsum(q))])
    for j in range(3):
        difference = (clamped == j).astype(float) - (spike == j)
        assert difference.var() <= distances[j] + distances[j + 1] + 0.003
        assert difference.var() < 0.5 * (q[j] * (1 - q[j]) + c[j] * (1 - c[j]))
