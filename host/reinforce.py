"""REINFORCE on whole episodes, without a critic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.agent import Agent, entropy
from host.learner import Episode, State, discount, subset
from host.seeds import Purpose, environment_seed
from host.settings import Reinforce
from host.tasks import Task

Array = NDArray[np.float64]


class RunningBaseline:
    """Exponential averages of a return's first two moments; the first batch sets them.

    Parameters
    ----------
    decay: how much of the average one batch keeps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._moments: Array | None = None

    def update(self, values: Array) -> None:
        """Take in a batch (B,)."""
        moments = np.array([values.mean(), np.square(values).mean()])
        self._moments = moments if self._moments is None else self.decay * self._moments + (1 - self.decay) * moments

    @property
    def mean(self) -> float:
        """The average; 0 before the first batch."""
        return 0.0 if self._moments is None else float(self._moments[0])

    @property
    def deviation(self) -> float:
        """Standard deviation; 1 before the first batch and where the values do not differ."""
        if self._moments is None:
            return 1.0
        variance = float(self._moments[1] - self._moments[0] ** 2)
        return variance**0.5 if variance > 1e-12 else 1.0

    def state(self) -> State:
        """The moments; empty before the first batch."""
        return {"moments": np.zeros(0) if self._moments is None else self._moments.copy()}

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self._moments = state["moments"].copy() if state["moments"].size else None


class EpisodicReinforce:
    """An update per group of episodes: M from discounted returns-to-go less a running baseline.

    Parameters
    ----------
    task: gives the environment.
    agent: parameters are loaded.
    reinforce: settings.
    """

    def __init__(self, task: Task, agent: Agent, reinforce: Reinforce) -> None:
        self.agent, self.reinforce = agent, reinforce
        self._env = task.make(**task.practice)
        self._baseline = RunningBaseline(reinforce.decay)
        self._steps = self._episodes = 0

    def advance(self) -> list[Episode]:
        """One group of episodes and the update from them."""
        finished: list[Episode] = []
        obs: list[Array] = []
        winners: list[NDArray[np.int64]] = []
        returns: list[Array] = []
        for _ in range(self.reinforce.episodes):
            finished.append(self._episode(obs, winners, returns))
        values = np.concatenate(returns)
        # The baseline takes the batch in first: else the very first update would push every action taken. What
        # this biases is of the order of one over the number of transitions.
        self._baseline.update(values)
        advantage = values - self._baseline.mean if self.reinforce.baseline == "running" else values
        if self.reinforce.normalise:
            advantage = advantage / self._baseline.deviation
        decided = np.arange(self._steps - len(advantage), self._steps)
        self.agent.train(np.concatenate(obs), np.concatenate(winners), decided, advantage)
        return finished

    def _episode(self, obs_rows: list[Array], winners_rows: list[NDArray[np.int64]], returns: list[Array]) -> Episode:
        """Play one episode and append its transitions."""
        agent = self.agent
        obs, _ = self._env.reset(seed=environment_seed(agent.seed, Purpose.ACT, 0, self._episodes))
        rewards: list[float] = []
        policies = []
        ended = False
        while not ended:
            row = np.asarray(obs, dtype=np.float64)[None]
            decision = agent.decide(row, Purpose.ACT, self._steps, agent.policy)
            obs, reward, terminated, truncated, _ = self._env.step(int(decision.winners[0, -1]))
            obs_rows.append(row)
            winners_rows.append(decision.winners)
            policies.append(decision.action_prob)
            rewards.append(float(reward))
            self._steps += 1
            ended = terminated or truncated
        self._episodes += 1
        # Without a critic nothing is known of what follows a truncation; its tail counts as zero.
        returns.append(discount(np.array(rewards), self.reinforce.gamma, 0.0))
        policy_entropy = entropy(np.concatenate(policies))
        return Episode(self._steps, sum(rewards), len(rewards), policy_entropy, float("nan"))

    def cut(self) -> None:
        """Nothing to do: :meth:`advance` stops between episodes."""

    def state(self) -> State:
        """Agent, baseline and counters."""
        return {
            **{f"agent.{key}": value for key, value in self.agent.state().items()},
            **{f"baseline.{key}": value for key, value in self._baseline.state().items()},
            "counters": np.array([self._steps, self._episodes], dtype=np.int64),
        }

    def restore(self, state: State) -> None:
        """The inverse of :meth:`state`."""
        self.agent.restore(subset(state, "agent."))
        self._baseline.restore(subset(state, "baseline."))
        self._steps, self._episodes = (int(value) for value in state["counters"])

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
