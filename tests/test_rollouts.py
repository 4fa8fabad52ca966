"""Rollouts of several environments: which value follows a step that goes on, terminates or is cut short."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from golden.config import DeviceConfig
from host import ppo
from host.agent import Agent
from host.backends.registry import make_backend
from host.critic import MlpCritic
from host.settings import Critic, Ppo

STEPS = 4
"""Steps of an episode; odd ones terminate, even ones are truncated."""


class Counting(gymnasium.Env[Any, Any]):
    """Observations say which episode it is and which step, in eighths."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self) -> None:
        self._episode = self._step = 0

    def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
        self._episode, self._step = self._episode + 1, 0
        return self._see(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        over, odd = self._step == STEPS, self._episode % 2 == 1
        return self._see(), float(self._step), over and odd, over and not odd, {}

    def _see(self) -> Any:
        return np.array([self._episode, self._step], dtype=np.float32) / 8


class Task:
    apart = False
    practice: dict[str, Any] = {}  # noqa: RUF012

    def make(self) -> Counting:
        return Counting()


def test_what_follows_is_the_next_value_nothing_or_the_value_of_the_last_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def kept(rewards: Any, values: Any, following: Any, ended: Any, *rest: Any) -> Any:
        seen.append((rewards, values, following, ended))
        return np.zeros_like(rewards)

    monkeypatch.setattr(ppo, "generalised_advantage", kept)
    monkeypatch.setattr(MlpCritic, "predict", lambda self, obs: (obs @ [80.0, 8.0])[:, None])
    config = DeviceConfig(inputs=2, groups=2, group_size=2, actions=2)
    settings = Ppo(envs=2, update_every=10, batch=20, epochs=1, reward_scale=0.5, advantage="gae")
    learner = ppo.RolloutPpo(Task(), Agent(make_backend("golden", config)), settings, Critic(hidden=2))  # type: ignore[arg-type]
    first, second = learner.advance(), learner.advance()

    # A value is ten times the episode and the step in it. Both environments do the same.
    rewards, values, following, ended = seen[0]
    one = [10, 11, 12, 13, 20, 21, 22, 23, 30, 31]
    np.testing.assert_array_equal(values, np.stack([one, one], axis=1))
    np.testing.assert_array_equal(following[:, 0], [11, 12, 13, 0, 21, 22, 23, 24, 31, 32])
    np.testing.assert_array_equal(following[:, 1], following[:, 0])
    np.testing.assert_array_equal(np.flatnonzero(ended[:, 0]), [3, 7])
    np.testing.assert_array_equal(rewards[:, 0], [0.5, 1, 1.5, 2, 0.5, 1, 1.5, 2, 0.5, 1])
    # The next rollout goes on in the same episode.
    assert seen[1][1][0, 0] == 32
    assert [(episode.steps, episode.total, episode.length) for episode in first] == [
        (7, 10.0, 4),
        (8, 10.0, 4),
        (15, 10.0, 4),
        (16, 10.0, 4),
    ]
    assert [episode.steps for episode in second] == [23, 24, 31, 32, 39, 40]
