"""Episodes of the robot tasks for their study: how often and how fast a policy gets there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from host.backend import Decision
from host.fleet import Fleet
from host.seeds import Purpose, environment_seed
from host.tasks import Task

FRESH: dict[str, dict[str, Any]] = {
    "robot-arm": {"split": 2},
    "robot-navigation": {"split": 1},
    "robot-navigation-varied": {"split": 1},
}
"""Arguments that make episodes no training has seen."""

MANY, MANY_SEED = 300, 12345
"""Fresh episodes where one percent should show, and the seed of their starts."""


class Player(Protocol):
    """What decides: an :class:`host.agent.Agent`, or :class:`Chance`."""

    def decide(self, obs: NDArray[np.float64], purpose: Purpose, first: int, policy: str) -> Decision:
        """Decide a batch (B, S)."""


class Chance:
    """Actions by chance, all alike.

    Parameters
    ----------
    actions: how many there are.
    seed: of the generator.
    """

    def __init__(self, actions: int, seed: int) -> None:
        self._actions, self._rng = actions, np.random.default_rng(seed)

    def decide(self, obs: NDArray[np.float64], purpose: Purpose, first: int, policy: str) -> Decision:
        """Decide a batch (B, S)."""
        winners = self._rng.integers(self._actions, size=(len(obs), 1))
        prob = np.full((len(obs), self._actions), 1 / self._actions)
        return Decision(winners, prob, prob, np.zeros(len(obs), dtype=np.int64), {})


@dataclass(frozen=True)
class Trials:
    """Episodes without learning.

    Parameters
    ----------
    episodes: how many.
    success: share of them that reached the goal.
    steps: mean over those that did; 0 where none did.
    shortest: mean of the steps that are enough, over the same ones.
    score: mean of ``info["score"]`` over all.
    """

    episodes: int
    success: float
    steps: float
    shortest: float
    score: float

    @property
    def ratio(self) -> float:
        """Steps taken over steps that are enough; 0 without success."""
        return self.steps / self.shortest if self.shortest else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For a journal."""
        return {
            "episodes": self.episodes,
            "success": self.success,
            "steps": self.steps,
            "ratio": self.ratio,
            "score": self.score,
        }


def trials(
    agent: Player | None, task: Task, episodes: int, seed: int, policy: str = "greedy", **arguments: Any
) -> Trials:
    """Episodes without learning, all stepped together.

    Parameters
    ----------
    agent: the player; ``None`` for the environment's oracle.
    seed: starts of the episodes; apart from those of training and validation.
    policy: ``greedy`` or ``sample``.
    arguments: of the environment (``split``, ``mirror``, ``blank``).
    """
    with contextlib.closing(Fleet(task, episodes, **arguments)) as fleet:
        obs = np.stack(
            [fleet.reset(number, environment_seed(seed, Purpose.PLAY, 0, number)) for number in range(episodes)]
        )
        running, decided = np.arange(episodes), 0
        lengths = np.zeros(episodes, dtype=np.int64)
        infos: list[dict[str, Any]] = [{}] * episodes
        while running.size:
            if agent is None:
                action = np.array([fleet.envs[number].unwrapped.oracle() for number in running])  # type: ignore[attr-defined]
            else:
                action = agent.decide(obs[running], Purpose.PLAY, decided, policy).action
            decided += len(running)
            lengths[running] += 1
            left = []
            for number, step in zip(running, fleet.step(running.tolist(), action), strict=True):
                obs[number], _, terminated, truncated, infos[number] = step
                if not (terminated or truncated):
                    left.append(number)
            running = np.array(left, dtype=np.int64)
    reached = np.array([bool(info["success"]) for info in infos])
    shortest = np.array([info["shortest"] for info in infos])
    return Trials(
        episodes=episodes,
        success=float(reached.mean()),
        steps=float(lengths[reached].mean()) if reached.any() else 0.0,
        shortest=float(shortest[reached].mean()) if reached.any() else 0.0,
        score=float(np.mean([info["score"] for info in infos])),
    )
