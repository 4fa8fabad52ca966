"""The training runs of the studies that set devices beside a multilayer perceptron."""

from __future__ import annotations

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
