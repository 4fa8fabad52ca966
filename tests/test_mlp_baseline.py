"""The backpropagation yardstick takes exactly the policy gradient step that a device approximates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.config import DeviceConfig
from golden.errors import SvpgError
from host.backend import Update
from host.backends.mlp import MlpBackend

CONFIG = DeviceConfig(inputs=6, groups=2, group_size=4, actions=3)


def nonces(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint64)


def test_policy_is_a_softmax_and_sampling_follows_it() -> None:
    mlp = MlpBackend(CONFIG, seed=0)
    obs = np.tile(np.linspace(-2, 2, 6), (20_000, 1))
    decision = mlp.infer(obs, nonces(20_000))
    assert np.allclose(decision.action_prob.sum(axis=1), 1)
    shares = np.bincount(decision.action, minlength=3) / 20_000
    assert np.abs(shares - decision.action_prob[0]).max() < 0.015
    assert (mlp.infer(obs[:1], nonces(1), "greedy").action == decision.action_prob[0].argmax()).all()


def test_learning_raises_the_probability_of_rewarded_actions() -> None:
    mlp = MlpBackend(CONFIG, seed=0)
    obs = np.random.default_rng(0).random((64, 6))
    winners = np.zeros((64, 3), dtype=np.int64)
    winners[:, -1] = 1
    before = mlp.infer(obs, nonces(64)).action_prob[:, 1].mean()
    for _ in range(20):
        mlp.learn(obs, winners, np.ones(64), "contrastive")
        mlp.apply(Update("adam", 1e-2, 1e-2, 64))
    assert mlp.infer(obs, nonces(64)).action_prob[:, 1].mean() > before + 0.1


def test_gradient_is_the_batch_mean_of_modulator_times_score() -> None:
    mlp = MlpBackend(CONFIG, seed=0)
    obs = np.random.default_rng(0).random((5, 6))
    winners = np.array([[0, 0, a] for a in (0, 1, 2, 1, 0)])
    modulator = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    mlp.learn(obs, winners, modulator, "contrastive")
    bias = mlp._model[2].bias
    policy = mlp.infer(obs, nonces(5)).action_prob
    expected = (modulator[:, None] * (np.eye(3)[winners[:, -1]] - policy)).sum(axis=0)
    assert torch.allclose(bias.grad, torch.as_tensor(expected, dtype=torch.float32), atol=1e-6)


def test_state_round_trip_and_refusals() -> None:
    mlp, other = MlpBackend(CONFIG, seed=0), MlpBackend(CONFIG, seed=1)
    other.restore(mlp.state())
    obs = np.ones((1, 6))
    assert np.array_equal(mlp.infer(obs, nonces(1)).action_prob, other.infer(obs, nonces(1)).action_prob)
    with pytest.raises(SvpgError):
        mlp.read()
