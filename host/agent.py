"""The agent: a device with what the host adds to it, centring of observations and the reward modulator."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden import modulator as modulators
from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.start import random_start
from host.backend import Backend, Decision, Update
from host.seeds import Purpose, nonces, nonces_at
from host.settings import Learning

Array = NDArray[np.float64]


MOST_HALVINGS = 8
"""Rates are not halved more often; a device has no rates below 2**-20."""


def initial_parameters(config: DeviceConfig, learning: Learning, seed: int) -> Parameters:
    """The random start of a run (:func:`golden.start.random_start`); zero deviations give the paper's zero start."""
    nonce = int(nonces(seed, Purpose.INITIAL, 0, 1)[0])
    return random_start(config, nonce, learning.init_recurrent, learning.init_obs)


def update_of(learning: Learning, batch: int, before: int = 0) -> Update:
    """The update that settings ask for when there have been ``before``."""
    share = 2.0 ** -min(before // learning.halve, MOST_HALVINGS) if learning.halve else 1.0
    return Update(
        learning.optimiser,
        learning.rate * share,
        learning.obs_rate * share,
        batch,
        decay=learning.decay,
        floor=learning.floor,
    )


class Agent:
    """Policy and learning of one device.

    Parameters
    ----------
    backend: the device.
    learning: settings of the learning rule; players that never learn leave it out.
    seed: the run's seed, part of every nonce.
    """

    def __init__(self, backend: Backend, learning: Learning | None = None, seed: int = 0) -> None:
        self.backend = backend
        self.config = backend.config
        self.learning = learning or Learning()
        self.seed = seed
        self.policy = "conditional" if self.learning.rule == "conditional" else "sample"
        self._obs_mean = np.zeros(self.config.inputs)
        self._obs_scale = 1.0
        self._centred = False
        # A probability that the device reports as 0 is somewhere below half its last place.
        self._floor = self.config.probability.lsb / 2
        self._limits = (
            self.config.modulator.low * self.config.modulator.lsb,
            self.config.modulator.high * self.config.modulator.lsb,
        )
        self._redraws = self._updates = 0

    def load(self, parameters: Parameters) -> None:
        """Replace weights, biases and the centring of observations."""
        self.backend.load(parameters)
        self._centre(parameters.obs_mean, parameters.obs_scale)

    def read(self) -> Parameters:
        """Weights, biases and the centring of observations."""
        return dataclasses.replace(self.backend.read(), obs_mean=self._obs_mean.copy(), obs_scale=self._obs_scale)

    def _centre(self, mean: Array, scale: float) -> None:
        self._obs_mean, self._obs_scale = np.asarray(mean, dtype=np.float64), float(scale)
        self._centred = bool(self._obs_mean.any()) or self._obs_scale != 1.0

    def prepare(self, obs: Array) -> Array:
        """Observations (B, S) as the device receives them, float64: ``(obs - obs_mean) / obs_scale``."""
        if not self._centred:
            return np.asarray(obs, dtype=np.float64)
        # Pixels are float32; NumPy is faster where it need not convert on the way.
        prepared = obs.astype(np.float64)
        prepared -= self._obs_mean
        if self._obs_scale != 1.0:
            prepared /= self._obs_scale
        return prepared

    def decide(self, obs: Array, purpose: Purpose, first: int, policy: str, spikes: bool = False) -> Decision:
        """Decide a batch (B, S) with the nonces of ``purpose`` counted from ``first``; ``q`` is not asked for."""
        nonce = nonces(self.seed, purpose, first, len(obs))
        return self.backend.infer(self.prepare(obs), nonce, policy, activity=False, spikes=spikes)

    def train(
        self,
        obs: Array,
        winners: NDArray[np.int64],
        decided: NDArray[np.int64],
        advantage: Array,
        old_probability: Array | None = None,
        clip: float = 0.0,
    ) -> Array:
        """One update of the parameters from a batch; returns the policy before it, float64 (B, A).

        Parameters
        ----------
        obs: (B, S), not yet centred.
        winners: (B, G+1) as they were drawn; the last column holds the actions.
        decided: (B,), numbers of the decisions, counted as in :meth:`decide` with ``Purpose.ACT``. In spike mode the
            present policy is asked for with the same random numbers, so that the ratio of both is exact.
        advantage: (B,).
        old_probability: (B,), probability of the action when it was drawn; ``None`` for REINFORCE, whose
            samples come from the present policy.
        clip: half width of PPO's interval.
        """
        learning, obs, action = self.learning, self.prepare(obs), winners[:, -1]
        zeros, nonce = np.zeros(len(obs), np.uint64), None
        if self.config.spikes:
            nonce = nonces_at(self.seed, Purpose.ACT, decided)
            decision = self.backend.infer(obs, nonce, "greedy", activity=False)
        elif learning.rule == "published":
            # The published eligibility needs hidden winners drawn from the present q, not from an older one.
            redraw = nonces(self.seed, Purpose.REDRAW, self._redraws, len(obs))
            self._redraws += len(obs)
            decision = self.backend.infer(obs, redraw, "sample", activity=False)
            winners = decision.winners.copy()
            winners[:, -1] = action
        elif learning.rule == "conditional":
            decision = self.backend.infer(obs, zeros, "conditional", winners, activity=False)
        else:
            decision = self.backend.infer(obs, zeros, "greedy", activity=False)
        policy = decision.action_prob
        if old_probability is None:
            modulator = modulators.reinforce(policy, action, advantage, learning.entropy, self._floor)
        else:
            form = modulators.ppo if learning.modulator == "plain" else modulators.ppo_authors
            modulator = form(policy, action, old_probability, advantage, clip, learning.entropy, self._floor)
        self.backend.learn(obs, winners, np.clip(modulator, *self._limits), learning.rule, nonce)
        self.backend.apply(update_of(learning, len(obs), self._updates))
        self._updates += 1
        return policy

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything later results depend on, as arrays."""
        return {
            **{f"backend.{key}": value for key, value in self.backend.state().items()},
            "obs_mean": self._obs_mean,
            "obs_scale": np.array(self._obs_scale),
            "redraws": np.array(self._redraws),
            "updates": np.array(self._updates),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """The inverse of :meth:`state`."""
        prefix = "backend."
        self.backend.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self._centre(state["obs_mean"], float(state["obs_scale"]))
        self._redraws, self._updates = int(state["redraws"]), int(state["updates"])


def entropy(policy: Array) -> float:
    """Mean entropy in nats of policies (B, A)."""
    return float(-(policy * np.log(np.maximum(policy, modulators.FLOOR))).sum(axis=1).mean())
