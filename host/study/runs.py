"""The training runs of the studies that set devices beside a multilayer perceptron."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.errors import SvpgError
from golden.parameters import Parameters
from host.agent import Agent
from host.backends.registry import make_backend
from host.run import RunFolder
from host.settings import RunConfig
from host.tasks import get_task

ZERO_START = ["learning.init_recurrent=0", "learning.init_obs=0"]
"""Settings of the paper's start."""

PUBLISHED = ["learning.rule=published", *ZERO_START]
"""Settings of the published rule."""

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


@dataclass(frozen=True)
class Trained:
    """A training run of a study.

    Parameters
    ----------
    agent: with the best parameters, chosen by validation.
    validations: rows of episode, environment steps and score.
    steps: environment steps of the whole run.
    """

    agent: Agent
    validations: list[list[float]]
    steps: int


def trained(config: RunConfig, path: Path) -> Trained:
    """Train as ``svpg train`` does, or go on with the run that is in the folder."""
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
    return Trained(agent, rows[~np.isnan(rows[:, 2])].tolist(), int(metrics["steps"][-1]))


def trained_mlp(config: RunConfig) -> Trained:
    """The same training of a multilayer perceptron; its parameters fit no run folder, so it cannot go on."""
    from host.backends.mlp import MlpBackend
    from host.training import Trainer

    class Fresh(MlpBackend):
        """Starts from its own random weights; of an agent's parameters only the centring counts."""

        def load(self, parameters: Parameters) -> None:
            pass

    rows: list[list[float]] = []
    with contextlib.closing(Trainer(config, Fresh(config.settings.network, config.seed))) as trainer:
        steps, state = 0, trainer.agent.state()
        while not trainer.finished():
            before, done = trainer.progress.episodes, trainer.advance()
            steps = done[-1].steps if done else steps
            mean, best = trainer.validation_due(before)
            if mean is not None:
                rows.append([trainer.progress.episodes, steps, mean])
            if best:
                state = trainer.agent.state()
        trainer.agent.restore(state)
        return Trained(trainer.agent, rows, steps)


def unseeing(parameters: Parameters) -> Parameters:
    """Without the weights from observations to hidden neurons."""
    weight = parameters.weight.copy()
    weight[parameters.neurons :, : parameters.groups * parameters.group_size] = 0.0
    return dataclasses.replace(parameters, weight=weight)
