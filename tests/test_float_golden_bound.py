"""How far the device may be from the float reference: docs/numerics.md, "Float against golden"."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.fixed import LOG2E
from golden.parameters import Parameters
from golden.start import random_start
from host.backend import Decision
from host.backends.float import FloatBackend
from host.backends.golden import GoldenBackend

Floats = NDArray[np.float64]
POLICY = Path(__file__).parent / "data" / "pendulum_policy.npz"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def decide(config: DeviceConfig, parameters: Parameters, obs: Floats) -> tuple[Decision, Decision]:
    """Greedy decisions of the golden model and of the float reference in double precision."""
    nonce = np.zeros(len(obs), dtype=np.uint64)
    golden, reference = GoldenBackend(config), FloatBackend(config, dtype=torch.float64)
    golden.load(parameters)
    reference.load(parameters)
    return golden.infer(obs, nonce, "greedy"), reference.infer(obs, nonce, "greedy")


def bounds(config: DeviceConfig, parameters: Parameters, obs: Floats) -> tuple[Floats, Floats]:
    """The derived bounds after ``config.iterations`` passes: of q (B, N), and of the action probabilities (B, A)."""
    weight = np.abs(parameters.weight) * LOG2E
    n = config.neurons
    group = np.repeat(np.arange(config.groups + 1), np.diff(config.group_start))
    size = np.diff(config.group_start)[group]
    half = 2.0 ** -(config.weight_frac + 1)
    grid = np.abs(obs - np.round(obs * 2.0**config.obs_frac) / 2.0**config.obs_frac).max()
    rounded = (np.abs(obs) + grid).sum(axis=1, keepdims=True)
    activity = 2.0 * (config.groups + 1 + n * 2.0**-config.activity_frac)
    softmax = 2.0 ** -(config.exp_index_bits + 3) + (size + 0.3) * 2.0**-14
    delta = np.zeros((len(obs), n))
    if config.start == "uniform":
        delta[:] = 2.0 ** -(config.activity_frac + 1)
    for step in range(config.iterations):
        recurrent = activity if step or config.start == "uniform" else 0.0
        u = half * (1.0 + rounded + recurrent) + grid * weight[n:].sum(axis=0) + 2.0 * delta @ weight[:n]
        worst = np.maximum.reduceat(u, config.group_start[:-1], axis=1)[:, group]
        exact = np.minimum(1.0, math.log(2.0) / 2.0 * worst + softmax)
        delta = exact + 2.0 ** -(config.activity_frac + 1)
    return delta, exact[:, config.hidden :] + 2.0 ** -(config.prob_frac + 1)


@pytest.mark.parametrize("activity_frac", [8, 14])
@pytest.mark.parametrize("start", ["silent", "uniform"])
@pytest.mark.parametrize("iterations", [1, 2, 4])
@pytest.mark.parametrize(
    ("sizes", "deviation"), [((4, 2, 3, 3), 0.1), ((4, 2, 3, 3), 0.5), ((4, 8, 8, 5), 0.3), ((100, 20, 10, 10), 0.3)]
)
def test_random_nets_stay_within_the_derived_bound(
    sizes: tuple[int, int, int, int], deviation: float, iterations: int, start: str, activity_frac: int
) -> None:
    inputs, groups, size, actions = sizes
    config = DeviceConfig(
        inputs, groups, size, actions, iterations=iterations, start=start, activity_frac=activity_frac
    )
    parameters = random_start(config, 5, deviation, deviation)
    obs = np.random.default_rng(1).random((100, inputs))
    golden, reference = decide(config, parameters, obs)
    q_bound, prob_bound = bounds(config, parameters, obs)
    assert (np.abs(golden.q - reference.q) <= q_bound).all()
    assert (np.abs(golden.action_prob - reference.action_prob) <= prob_bound).all()


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_the_trained_policy_stays_within_the_derived_bound(iterations: int) -> None:
    parameters, obs = trained()
    config = DeviceConfig(4, 8, 8, 5, iterations=iterations)
    golden, reference = decide(config, parameters, obs)
    q_bound, prob_bound = bounds(config, parameters, obs)
    assert (np.abs(golden.q - reference.q) <= q_bound).all()
    assert (np.abs(golden.action_prob - reference.action_prob) <= prob_bound).all()
    if iterations == 1:
        assert prob_bound.max() <= 0.018


@pytest.mark.parametrize(("activity_frac", "most"), [(8, 0.03), (14, 0.016)])
def test_large_random_nets_differ_by_no_more_than_was_measured(activity_frac: int, most: float) -> None:
    config = DeviceConfig(100, 20, 10, 10, activity_frac=activity_frac)
    obs = np.random.default_rng(0).random((100, 100))
    golden, reference = decide(config, random_start(config, 5, 0.3, 0.3), obs)
    assert np.abs(golden.q - reference.q).max() <= most


def test_one_pass_without_rounded_observations_is_bounded_closely() -> None:
    """The bound says something: it is small, and the error comes within a factor of eight of it."""
    config = DeviceConfig(4, 8, 8, 5, iterations=1)
    parameters = random_start(config, 5, 0.5, 0.5)
    obs = np.random.default_rng(1).integers(0, 257, (1000, 4)) / 256.0
    golden, reference = decide(config, parameters, obs)
    _, prob_bound = bounds(config, parameters, obs)
    error = np.abs(golden.action_prob - reference.action_prob).max()
    assert prob_bound.max() < 0.0015
    assert prob_bound.max() / 8 < error <= prob_bound.max()


def trained() -> tuple[Parameters, Floats]:
    """The trained pendulum policy and 1000 observations it met."""
    with np.load(POLICY) as archive:
        return Parameters.load(POLICY), archive["visited_obs"].astype(np.float64)


@pytest.mark.parametrize("activity_frac", [8, 10, 12, 14])
def test_the_trained_policy_differs_by_no_more_than_was_measured(activity_frac: int) -> None:
    parameters, obs = trained()
    config = DeviceConfig(4, 8, 8, 5, activity_frac=activity_frac)
    golden, reference = decide(config, parameters, obs)
    error = np.abs(golden.action_prob - reference.action_prob)
    assert error.max() <= 0.006
    assert np.abs(golden.q - reference.q).max() <= 0.008
    same = golden.action == reference.action
    assert same.mean() >= 0.99
    top = np.sort(reference.action_prob[~same], axis=1)[:, -2:]
    assert (top[:, 1] - top[:, 0] <= 0.012).all(), "actions differ only where the float policy hardly prefers one"


def test_a_finer_observation_grid_brings_golden_closer() -> None:
    """What is left of the difference after training is the rounding of observations."""
    parameters, obs = trained()
    coarse, fine = (
        DeviceConfig(4, 8, 8, 5, activity_frac=12, obs_bits=bits, obs_frac=frac) for bits, frac in ((12, 8), (16, 12))
    )
    errors = []
    for config in (coarse, fine):
        golden, reference = decide(config, parameters, obs)
        errors.append(np.abs(golden.action_prob - reference.action_prob).max())
    assert errors[1] < errors[0] / 2
