"""The training runs of the studies that set devices beside a multilayer perceptron."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from golden.errors import SvpgError
from host.agent import Agent
from host.backends.registry import make_backend
from host.run import RunFolder
from host.settings import RunConfig
from host.tasks import get_task

MLP = "mlp"
"""Stands in the place of a backend's name for the conventional network, which has the settings of ``float``."""


def run_config(task: str, backend: str, seed: int, assignments: list[str], episodes: int | None) -> RunConfig:
    """The training of a case.

    Parameters
    ----------
    backend: a backend's name, or :data:`MLP`.
    assignments: ``KEY=VALUE`` texts.
    episodes: the budget; ``None`` for the task's.
    """
    from host.training import extended

    backend = "float" if backend == MLP else backend
    settings = get_task(task).settings(backend, "ppo", assignments)
    return extended(RunConfig(task, backend, "ppo", seed, settings), episodes)


def is_begun(path: Path) -> bool:
    """Whether a run is in the folder."""
    return (path / "config.toml").exists()


def trained(config: RunConfig, path: Path) -> tuple[Agent, list[list[float]]]:
    """Train as ``svpg train`` does, or go on with the run that is in the folder.

    Returns
    -------
    The agent with the best parameters; rows of episode, environment steps and score, one per validation.
    """
    from host.training import train

    begun = is_begun(path)
    if begun and RunFolder.open(path)[1] != config:
        raise SvpgError(f"{path}: holds a run with other settings; move it away, or choose another --journal")
    train(config, path, resume=begun)
    folder = RunFolder(path)
    metrics = folder.metrics()
    rows = np.stack([metrics[name] for name in ("episode", "steps", "validation")], axis=1)
    agent = Agent(make_backend(config.backend, config.settings.network), config.settings.learning, config.seed)
    agent.load(folder.parameters())
    return agent, rows[~np.isnan(rows[:, 2])].tolist()
