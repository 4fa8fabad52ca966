"""One training run of a robot task for the study, on a device or on the multilayer perceptron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from host.study.robot_trials import FRESH, MANY, MANY_SEED, Player, Trials, trials
from host.study.runs import MLP, run_config, trained, trained_mlp, unseeing
from host.tasks import Task, get_task

TRIALS = 50
"""Fresh episodes after training."""

TRIAL_SEED = 99
"""Of their starts: the same for every run."""


def try_out(agent: Player | None, task: Task, policy: str = "greedy", **arguments: Any) -> Trials:
    """Fresh episodes of the task, with further arguments of its environment; an agent of ``None`` is the oracle."""
    return trials(agent, task, TRIALS, TRIAL_SEED, policy, **FRESH[task.name], **arguments)


def train_case(
    task: str, backend: str, seed: int, assignments: list[str], episodes: int | None, path: str
) -> dict[str, Any]:
    """Train, choose the best parameters by validation from training starts, and try these on fresh starts.

    Parameters
    ----------
    backend: a backend's name, or :data:`MLP`.
    episodes: the budget; ``None`` for the task's.
    path: run folder; a run in it goes on.

    Returns
    -------
    ``trials``, ``many`` (:data:`host.study.robot_trials.MANY` of them), ``sampled`` (those with actions drawn from the
    policy), and by the task's policy ``zeroed`` (weights from observations to hidden neurons set to zero; ``None`` for
    the MLP), ``blank`` and ``mirrored``: as :meth:`host.study.robot_trials.Trials.to_dict`; ``validation`` (episode,
    environment steps, score).
    """
    torch.set_num_threads(1)
    chosen, config = get_task(task), run_config(task, backend, seed, assignments, episodes)
    run = trained_mlp(config) if backend == MLP else trained(config, Path(path))
    agent = run.agent
    result: dict[str, Any] = {
        "validation": run.validations,
        "trials": try_out(agent, chosen).to_dict(),
        "many": trials(agent, chosen, MANY, MANY_SEED, **FRESH[task]).to_dict(),
        "sampled": trials(agent, chosen, MANY, MANY_SEED, "sample", **FRESH[task]).to_dict(),
        "blank": try_out(agent, chosen, chosen.policy, blank=1).to_dict(),
        "mirrored": try_out(agent, chosen, chosen.policy, mirror=1).to_dict(),
        "zeroed": None,
    }
    if backend != MLP:
        agent.load(unseeing(agent.read()))
        result["zeroed"] = try_out(agent, chosen, chosen.policy).to_dict()
    return result
