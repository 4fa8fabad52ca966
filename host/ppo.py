"""Proximal policy optimisation: the paper's replayed window, and rollouts of several environments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.agent import Agent, entropy
from host.critic import MlpCritic
from host.fleet import Fleet
from host.learner import (
    Episode,
    State,
    discount,
    generalised_advantage,
    pack_generator,
    standardise,
    subset,
    unpack_generator,
)
from host.seeds import Purpose, environment_seed, generator
from host.settings import Critic, Ppo
from host.tasks import Task

Array = NDArray[np.float64]


class ReplayPpo:
    """The paper's scheme: one environment, an update every few steps on a window of recent transitions.

    The critic estimates Q per action; the advantage is ``Q(s, a) - sum_a' pi_old(a') Q(s, a')``. Its targets are
    discounted returns; where an episode was cut short or still runs they end in ``sum_a pi(a) Q(s', a)``, where it
    terminated in 0.

    Parameters
    ----------
    task: gives the environment.
    agent: parameters are loaded.
    ppo, critic: settings.
    """

    def __init__(self, task: Task, agent: Agent, ppo: Ppo, critic: Critic) -> None:
        self.agent, self.ppo = agent, ppo
        self._critic_steps = critic.steps
        self._env = task.make(**task.practice)
        config = agent.config
        self._critic = MlpCritic(config.inputs, config.actions, critic.hidden, critic.rate, agent.seed)
        self._rng = generator(agent.seed, Purpose.SAMPLES)
        size = ppo.buffer
        # A ring: transition number t lies at t % size.
        self._window: State = {
            "obs": np.zeros((size, config.inputs)),
            "winners": np.zeros((size, config.groups + 1), dtype=np.int64),
            "policy": np.zeros((size, config.actions)),
            "reward": np.zeros(size),
            "target": np.zeros(size),
        }
        self._steps = self._episodes = 0
        self._loss = float("nan")

    def advance(self) -> list[Episode]:
        """One episode."""
        env, agent, window, ppo = self._env, self.agent, self._window, self.ppo
        size, every = ppo.buffer, ppo.update_every
        obs, _ = env.reset(seed=environment_seed(agent.seed, Purpose.ACT, 0, self._episodes))
        start, total, ended = self._steps, 0.0, False
        policies = []
        while not ended:
            row = np.asarray(obs, dtype=np.float64)[None]
            decision = agent.decide(row, Purpose.ACT, self._steps, agent.policy)
            obs, reward, terminated, truncated, _ = env.step(int(decision.winners[0, -1]))
            slot = self._steps % size
            window["obs"][slot] = row[0]
            window["winners"][slot] = decision.winners[0]
            window["policy"][slot] = decision.action_prob[0]
            window["reward"][slot] = float(reward)
            policies.append(decision.action_prob)
            self._steps += 1
            total += float(reward)
            ended = terminated or truncated
            update = self._steps % every == 0 and self._steps >= ppo.batch
            if update or ended:
                self._set_targets(start, 0.0 if terminated else self._value(obs))
            if update:
                self._update()
        self._episodes += 1
        return [Episode(self._steps, total, self._steps - start, entropy(np.concatenate(policies)), self._loss)]

    def _value(self, obs: Array) -> float:
        """``sum_a pi(a|s) Q(s, a)`` of one observation (S,)."""
        row = np.asarray(obs, dtype=np.float64)[None]
        # Greedy draws nothing, so any nonce serves.
        return float((self.agent.decide(row, Purpose.ACT, 0, "greedy").action_prob * self._critic.predict(row)).sum())

    def _set_targets(self, start: int, tail: float) -> None:
        """Returns-to-go of the present episode's transitions that are still in the window."""
        slots = np.arange(max(start, self._steps - self.ppo.buffer), self._steps) % self.ppo.buffer
        self._window["target"][slots] = discount(self._window["reward"][slots], self.ppo.gamma, tail)

    def _update(self) -> None:
        ppo, window = self.ppo, self._window
        held = min(self._steps, ppo.buffer)
        slots = self._rng.permutation(held)[: ppo.batch]
        obs, winners, old = window["obs"][slots], window["winners"][slots], window["policy"][slots]
        action = winners[:, -1].copy()
        self._loss = self._critic.fit(obs, window["target"][slots], action, self._critic_steps)
        values = self._critic.predict(obs)
        rows = np.arange(len(slots))
        # The newest transition with each slot.
        decided = self._steps - 1 - (self._steps - 1 - slots) % ppo.buffer
        advantage = values[rows, action] - (old * values).sum(axis=1)
        if ppo.normalise:
            advantage = standardise(advantage)
        for _ in range(ppo.epochs):
            self.agent.train(obs, winners, decided, advantage, old[rows, action], ppo.clip)

    def cut(self) -> None:
        """Nothing to do: :meth:`advance` stops between episodes."""

    def state(self) -> State:
        """Agent, critic, window, generator and counters."""
        return {
            **{f"agent.{key}": value for key, value in self.agent.state().items()},
            **{f"critic.{key}": value for key, value in self._critic.state().items()},
            **{f"window.{key}": value for key, value in self._window.items()},
            **{f"rng.{key}": value for key, value in pack_generator(self._rng).items()},
            "counters": np.array([self._steps, self._episodes], dtype=np.int64),
            "loss": np.array(self._loss),
        }

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self.agent.restore(subset(state, "agent."))
        self._critic.restore(subset(state, "critic."))
        self._window = subset(state, "window.")
        unpack_generator(self._rng, subset(state, "rng."))
        self._steps, self._episodes = (int(value) for value in state["counters"])
        self._loss = float(state["loss"])

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


class RolloutPpo:
    """Rollouts of E environments by T steps, generalised advantage estimation, minibatches, a state-value critic.

    Parameters
    ----------
    task: gives the environments.
    agent: parameters are loaded.
    ppo, critic: settings; a rollout is ``ppo.update_every`` steps of ``ppo.envs`` environments.
    """

    def __init__(self, task: Task, agent: Agent, ppo: Ppo, critic: Critic) -> None:
        self.agent, self.ppo = agent, ppo
        self._envs = Fleet(task, ppo.envs, **task.practice)
        config = agent.config
        self._critic = MlpCritic(config.inputs, 1, critic.hidden, critic.rate, agent.seed)
        self._rng = generator(agent.seed, Purpose.SAMPLES)
        # As environments give them: pixels are float32, and half as much to move.
        self._obs = np.zeros((ppo.envs, config.inputs), dtype=self._envs.dtype)
        self._episodes = np.zeros(ppo.envs, dtype=np.int64)
        self._return, self._length = np.zeros(ppo.envs), np.zeros(ppo.envs, dtype=np.int64)
        self._steps = 0
        self._loss = float("nan")
        self._fresh = False

    def _reset(self, environment: int) -> None:
        """Start the environment's next episode."""
        seed = environment_seed(self.agent.seed, Purpose.ACT, environment, int(self._episodes[environment]))
        self._obs[environment] = self._envs.reset(environment, seed)
        self._episodes[environment] += 1
        self._return[environment], self._length[environment] = 0.0, 0

    def cut(self) -> None:
        """Start new episodes everywhere; unfinished ones leave no row in the metrics."""
        self._fresh = False

    def advance(self) -> list[Episode]:
        """One rollout and its updates."""
        ppo, agent, config = self.ppo, self.agent, self.agent.config
        if not self._fresh:
            for environment in range(ppo.envs):
                self._reset(environment)
            self._fresh = True
        shape = (ppo.update_every, ppo.envs)
        obs = np.empty((*shape, config.inputs), dtype=self._obs.dtype)
        winners = np.zeros((*shape, config.groups + 1), dtype=np.int64)
        policy = np.zeros((*shape, config.actions))
        reward = np.zeros(shape)
        ended = np.zeros(shape, dtype=bool)
        last = np.zeros(shape)
        finished: list[tuple[int, float, int]] = []
        for t in range(ppo.update_every):
            obs[t] = self._obs
            decision = agent.decide(obs[t], Purpose.ACT, self._steps, agent.policy)
            winners[t], policy[t] = decision.winners, decision.action_prob
            for e, step in enumerate(self._envs.step(range(ppo.envs), decision.action)):
                self._obs[e], reward[t, e], terminal, truncated, _ = step
                self._steps += 1
                self._return[e] += reward[t, e]
                self._length[e] += 1
                if terminal or truncated:
                    ended[t, e], last[t, e] = True, 0.0 if terminal else self._value(self._obs[e : e + 1])[0]
                    finished.append((self._steps, float(self._return[e]), int(self._length[e])))
                    self._reset(e)
        self._update(obs, winners, policy, reward, ended, last)
        mean_entropy = entropy(policy.reshape(-1, config.actions))
        return [Episode(steps, total, length, mean_entropy, self._loss) for steps, total, length in finished]

    def _value(self, obs: Array) -> Array:
        """V of observations (B, S): float64 (B,)."""
        return self._critic.predict(obs)[:, 0]

    def _update(
        self,
        obs: Array,
        winners: NDArray[np.int64],
        policy: Array,
        reward: Array,
        ended: NDArray[np.bool_],
        last: Array,
    ) -> None:
        """Updates from a rollout; ``last`` (T, E) is the value of what came after a step that ended an episode."""
        ppo, config = self.ppo, self.agent.config
        count = reward.size
        flat = obs.reshape(count, config.inputs)
        values = self._value(flat).reshape(reward.shape)
        following = np.where(ended, last, np.concatenate([values[1:], self._value(self._obs)[None]]))
        reward = ppo.reward_scale * reward
        advantage = generalised_advantage(reward, values, following, ended, ppo.gamma, ppo.gae_lambda).ravel()
        target = advantage + values.ravel()
        if ppo.normalise:
            advantage = standardise(advantage)
        flat_winners = winners.reshape(count, config.groups + 1)
        old = policy.reshape(count, config.actions)[np.arange(count), flat_winners[:, -1]]
        for _ in range(ppo.epochs):
            order = self._rng.permutation(count)
            for first in range(0, count, ppo.batch):
                part = order[first : first + ppo.batch]
                seen, decided = flat[part], self._steps - count + part
                self._loss = self._critic.fit(seen, target[part])
                self.agent.train(seen, flat_winners[part], decided, advantage[part], old[part], ppo.clip)

    def state(self) -> State:
        """Agent, critic, generator and counters; call :meth:`cut` first."""
        return {
            **{f"agent.{key}": value for key, value in self.agent.state().items()},
            **{f"critic.{key}": value for key, value in self._critic.state().items()},
            **{f"rng.{key}": value for key, value in pack_generator(self._rng).items()},
            "steps": np.array(self._steps),
            "episodes": self._episodes.copy(),
            "loss": np.array(self._loss),
        }

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self.agent.restore(subset(state, "agent."))
        self._critic.restore(subset(state, "critic."))
        unpack_generator(self._rng, subset(state, "rng."))
        self._steps = int(state["steps"])
        self._episodes = state["episodes"].copy()
        self._loss = float(state["loss"])
        self._fresh = False

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()
