"""One training run of a robot task for the study, on a device or on the multilayer perceptron."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from host.agent import Agent
from host.backends.mlp import MlpBackend
from host.centring import measured
from host.evaluation import Validation
from host.fleet import Fleet
from host.ppo import RolloutPpo
from host.settings import RunConfig
from host.study.robot_trials import FRESH, Player, Trials, trials
from host.study.runs import MLP, run_config, trained
from host.tasks import Task, get_task

TRIALS = 50
"""Fresh episodes after training."""

TRIAL_SEED = 99
"""Of their starts: the same for every run."""


def try_out(agent: Player | None, task: Task, **arguments: Any) -> Trials:
    """Fresh episodes of the task, with further arguments of its environment; an agent of ``None`` is the oracle."""
    return trials(agent, task, TRIALS, TRIAL_SEED, **FRESH[task.name], **arguments)


def trained_mlp(config: RunConfig) -> tuple[Agent, list[list[float]]]:
    """The same for a multilayer perceptron, whose parameters fit no run folder."""
    task, settings = get_task(config.task), config.settings
    training, agent = (
        settings.training,
        Agent(MlpBackend(settings.network, config.seed), settings.learning, config.seed),
    )
    mean, scale = measured(task, settings.centring, config.seed)
    agent.restore({**agent.state(), "obs_mean": mean, "obs_scale": np.array(scale)})
    done, best, streak = 0, -np.inf, 0
    rows: list[list[float]] = []
    state = agent.state()
    with (
        contextlib.closing(RolloutPpo(task, agent, settings.ppo, settings.critic)) as learner,
        contextlib.closing(
            Validation(Fleet(task, training.validation_episodes), config.seed, task.score)
        ) as validation,
    ):
        while done < training.episodes and not 0 < training.hold <= streak:
            before, ended = done, learner.advance()
            done += len(ended)
            if done // training.validate_every > before // training.validate_every or done >= training.episodes:
                score = float(validation.run(agent).mean())
                rows.append([done, ended[-1].steps, score])
                streak = streak + 1 if score >= training.threshold else 0
                if score > best:
                    best, state = score, agent.state()
    agent.restore(state)
    return agent, rows


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
    ``trials``, ``zeroed`` (observation weights of the hidden groups set to zero; ``None`` for the MLP), ``blank``,
    ``mirrored`` as :meth:`host.study.robot_trials.Trials.to_dict`; ``validation`` (episode, environment steps, score).
    """
    torch.set_num_threads(1)
    chosen, config = get_task(task), run_config(task, backend, seed, assignments, episodes)
    agent, rows = trained_mlp(config) if backend == MLP else trained(config, Path(path))
    result: dict[str, Any] = {
        "validation": rows,
        "trials": try_out(agent, chosen).to_dict(),
        "blank": try_out(agent, chosen, blank=1).to_dict(),
        "mirrored": try_out(agent, chosen, mirror=1).to_dict(),
        "zeroed": None,
    }
    if backend != MLP:
        parameters, network = agent.read(), config.settings.network
        parameters.weight[network.neurons :, : network.hidden] = 0.0
        agent.load(parameters)
        result["zeroed"] = try_out(agent, chosen).to_dict()
    return result
