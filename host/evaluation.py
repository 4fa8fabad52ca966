"""Playing without learning: validation during training, and ``svpg play``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from host.agent import Agent
from host.fleet import Fleet
from host.seeds import Purpose, environment_seed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """Results of evaluation episodes.

    Parameters
    ----------
    returns: float64 (episodes,), undiscounted.
    decisions: decisions in all.
    seconds: time spent in the device's decisions.
    cycles: mean clock cycles per decision where the backend counts them.
    finals: ``info`` of the last step of every episode.
    """

    returns: Array
    decisions: int
    seconds: float
    cycles: float | None
    finals: list[dict[str, Any]]


class Validation:
    """Episodes from a fixed set of starts, all stepped together.

    Parameters
    ----------
    envs: one environment per episode; closed with it.
    seed: the run's seed; every validation of a run starts from the same states.
    score: what counts: the entry of ``info`` at the end of an episode with this name, or the return.
    policy: one of :data:`host.backend.POLICIES`.
    """

    def __init__(self, envs: Fleet, seed: int, score: str | None = None, policy: str = "greedy") -> None:
        self.envs, self._score, self._policy = envs, score, policy
        self._seeds = [environment_seed(seed, Purpose.VALIDATE, 0, episode) for episode in range(len(envs))]

    def run(self, agent: Agent) -> Array:
        """Returns or scores (episodes,)."""
        obs = np.stack([self.envs.reset(number, seed) for number, seed in enumerate(self._seeds)])
        returns = np.zeros(len(self.envs))
        running = np.arange(len(self.envs))
        decided = 0
        while running.size:
            # Spikes are drawn under the greedy policy too: a nonce used again would bias every step alike.
            action = agent.decide(obs[running], Purpose.VALIDATE, decided, self._policy).action
            decided += len(running)
            left = []
            for environment, step in zip(running, self.envs.step(running.tolist(), action), strict=True):
                obs[environment], reward, terminated, truncated, info = step
                returns[environment] += float(reward)
                if not (terminated or truncated):
                    left.append(environment)
                elif self._score is not None:
                    returns[environment] = float(info[self._score])
            running = np.array(left, dtype=np.int64)
        return returns

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()


def play(
    agent: Agent,
    env: gymnasium.Env[Any, Any],
    episodes: int,
    seed: int,
    policy: str = "greedy",
    on_frame: Callable[[NDArray[np.uint8]], None] | None = None,
) -> Played:
    """Play episodes one after the other, one decision at a time.

    Parameters
    ----------
    agent: the player; its own seed counts in ``sample`` and ``conditional`` decisions.
    env: the environment; closed by the caller.
    episodes: at least 1.
    seed: starts of the episodes; apart from those of training and validation.
    policy: one of :data:`host.backend.POLICIES`.
    on_frame: receives every picture of the first episode, uint8 (height, width, 3).
    """
    if episodes < 1:
        raise SvpgError(f"episodes = {episodes} is out of range; give at least 1")
    returns = np.zeros(episodes)
    decisions, seconds = 0, 0.0
    cycles: list[int] = []
    finals: list[dict[str, Any]] = []
    # Decisions are pure; the first one of a process may have to load compiled code and is not timed.
    agent.decide(np.zeros((1, agent.config.inputs)), Purpose.PLAY, 0, policy)
    for episode in range(episodes):
        obs, _ = env.reset(seed=environment_seed(seed, Purpose.PLAY, 0, episode))
        ended = False
        while not ended:
            if on_frame is not None and episode == 0:
                on_frame(env.render())  # type: ignore[arg-type]
            row = np.asarray(obs, dtype=np.float64)[None]
            began = time.perf_counter()
            decision = agent.decide(row, Purpose.PLAY, decisions, policy)
            seconds += time.perf_counter() - began
            decisions += 1
            if "cycles" in decision.counters:
                cycles.append(int(decision.counters["cycles"][0]))
            obs, reward, terminated, truncated, final = env.step(int(decision.winners[0, -1]))
            returns[episode] += float(reward)
            ended = terminated or truncated
        finals.append(final)
    return Played(returns, decisions, seconds, float(np.mean(cycles)) if cycles else None, finals)
