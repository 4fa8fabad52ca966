"""The mean observation of a task, which agents that see subtract (docs/learning.md, "Centred observations")."""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from host.seeds import Purpose, environment_seed, generator
from host.settings import Centring
from host.tasks import Task

Array = NDArray[np.float64]


def measured(task: Task, centring: Centring, seed: int) -> tuple[Array, float]:
    """Mean observation (S,) and scale of a task, from random play.

    Sums are of float64 in the order of the frames: the same on every machine.

    Parameters
    ----------
    centring: how many frames, and whether to divide by their deviation.
    seed: the run's.

    Returns
    -------
    The mean, and the standard deviation of all centred pixels together (one number), or 1.
    """
    rng = generator(seed, Purpose.CENTRE)
    total, squares = np.zeros(task.inputs), np.zeros(task.inputs)
    episode, ended = 0, True
    with contextlib.closing(task.make(**task.practice)) as env:
        for _ in range(centring.frames):
            if ended:
                obs, _ = env.reset(seed=environment_seed(seed, Purpose.CENTRE, 0, episode))
                episode += 1
            frame = np.asarray(obs, dtype=np.float64)
            total += frame
            squares += frame * frame
            obs, _, terminated, truncated, _ = env.step(int(rng.integers(task.actions)))
            ended = terminated or truncated
    mean = total / centring.frames
    variance = float((squares / centring.frames - mean * mean).mean())
    return mean, float(np.sqrt(variance)) if centring.unit and variance > 0 else 1.0
