"""Validation: the same starts every time, and spikes that no two decisions of it share."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from golden.config import DeviceConfig
from host.agent import Agent
from host.backend import Decision
from host.backends.golden import GoldenBackend
from host.evaluation import Validation
from host.fleet import Fleet
from host.tasks import get_task

CONFIG = DeviceConfig(inputs=4, groups=2, group_size=2, actions=5, mode="spike", steps=4, window=4)


class Recording(GoldenBackend):
    """Keeps the nonces, the first observations and the policies."""

    def __init__(self) -> None:
        super().__init__(CONFIG)
        self.nonces: list[np.ndarray] = []
        self.first: list[np.ndarray] = []
        self.policies: set[str] = set()

    def infer(self, obs: Any, nonce: Any, policy: str, **named: Any) -> Decision:
        self.nonces.append(np.array(nonce))
        self.first.append(np.array(obs))
        self.policies.add(policy)
        return super().infer(obs, nonce, policy, **named)


def test_every_decision_of_a_validation_draws_spikes_of_its_own_and_every_validation_the_same() -> None:
    backend = Recording()
    validation = Validation(Fleet(get_task("inverted-pendulum"), 3), seed=5)
    agent = Agent(backend, seed=5)
    returns = validation.run(agent)
    nonces, first = np.concatenate(backend.nonces), backend.first[0]
    assert len(backend.nonces) > 3
    assert len(np.unique(nonces)) == len(nonces)
    backend.nonces.clear()
    backend.first.clear()
    assert np.array_equal(validation.run(agent), returns)
    assert np.array_equal(np.concatenate(backend.nonces), nonces)
    assert np.array_equal(backend.first[0], first)
    validation.close()


@pytest.mark.parametrize("policy", ["greedy", "sample"])
def test_a_validation_decides_by_the_policy_that_it_is_given(policy: str) -> None:
    backend = Recording()
    with contextlib.closing(Validation(Fleet(get_task("inverted-pendulum"), 3), seed=5, policy=policy)) as validation:
        returns = validation.run(Agent(backend, seed=5))
        assert backend.policies == {policy}
        assert np.array_equal(validation.run(Agent(Recording(), seed=5)), returns)
