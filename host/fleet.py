"""Environments that are stepped together."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from host.tasks import Task

Step = tuple[Any, Any, bool, bool, dict[str, Any]]


class Fleet:
    """Several environments of a task.

    What comes out does not depend on how many are stepped at a time: each has its own state and seeds. Where the work
    of an environment is done in a process of its own (:attr:`host.tasks.Task.apart`), as many threads as there are
    processors wait for them.

    Parameters
    ----------
    task: gives the environments.
    count: how many.
    arguments: of each environment.
    """

    def __init__(self, task: Task, count: int, **arguments: Any) -> None:
        self._closing = contextlib.ExitStack()
        self.envs: list[gymnasium.Env[Any, Any]] = [
            self._closing.enter_context(contextlib.closing(task.make(**arguments))) for _ in range(count)
        ]
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        workers = min(count, len(os.sched_getaffinity(0)))
        if task.apart and workers > 1:
            self._threads = self._closing.enter_context(
                concurrent.futures.ThreadPoolExecutor(workers, "svpg-environment")
            )

    def __len__(self) -> int:
        return len(self.envs)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the observations."""
        return np.dtype(self.envs[0].observation_space.dtype)

    def reset(self, number: int, seed: int) -> NDArray[Any]:
        """Start an episode of one environment."""
        return np.asarray(self.envs[number].reset(seed=seed)[0])

    def step(self, numbers: Sequence[int], actions: NDArray[np.int64]) -> list[Step]:
        """Step some of them, an action each; results in their order."""
        steps = [self.envs[number].step for number in numbers]
        chosen = [int(action) for action in actions]
        if self._threads is None:
            return [step(action) for step, action in zip(steps, chosen, strict=True)]
        return list(self._threads.map(lambda step, action: step(action), steps, chosen))

    def close(self) -> None:
        """Close all of them."""
        self._closing.close()
