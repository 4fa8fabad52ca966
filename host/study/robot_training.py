"""One training run of a robot task for the study, on a device or on the multilayer perceptron."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from host.agent import Agent, initial_parameters
from host.backend import Backend
from host.backends.mlp import MlpBackend
from host.backends.registry import make_backend
from host.centring import measured
from host.evaluation import Validation
from host.fleet import Fleet
from host.ppo import RolloutPpo
from host.settings import Settings
from host.study.robot_trials import Trials, trials
from host.tasks import Task, get_task

MLP = "mlp"
"""Stands in the place of a backend's name for the conventional network."""

TRIALS = 50
"""Fresh episodes after training."""

TRIAL_SEED = 99
"""Of their starts: the same for every run."""

FRESH = {"robot-arm": {"split": 2}, "robot-navigation": {"split": 1}}
"""Arguments that make episodes no training has seen."""


def settings_of(task: Task, backend: str, assignments: list[str]) -> Settings:
    """The task's defaults for a backend with ``--set`` assignments."""
    return task.defaults("float" if backend == MLP else backend, "ppo").override(assignments)


def agent_of(task: Task, backend: str, settings: Settings, seed: int) -> Agent:
    """An agent at its start, with the observations' centring, as ``svpg train`` makes it."""
    device: Backend
    mean, scale = measured(task, settings.centring, seed)
    if backend == MLP:
        device = MlpBackend(settings.network, seed)
        agent = Agent(device, settings.learning, seed)
    else:
        device = make_backend(backend, settings.network, (settings.learning.rule, settings.learning.optimiser))
        agent = Agent(device, settings.learning, seed)
        agent.load(initial_parameters(settings.network, settings.learning, seed))
    agent.restore({**agent.state(), "obs_mean": mean, "obs_scale": np.array(scale)})
    return agent


def try_out(agent: Agent | None, task: Task, **arguments: Any) -> Trials:
    """Fresh episodes of the task, with further arguments of its environment; an agent of ``None`` is the oracle."""
    return trials(agent, task, TRIALS, TRIAL_SEED, **FRESH[task.name], **arguments)


def train_case(
    task: str, backend: str, seed: int, assignments: list[str], episodes: int | None, keep: str | None
) -> dict[str, Any]:
    """Train, choose the best parameters by validation from training starts, and try these on fresh starts.

    Parameters
    ----------
    backend: a backend's name, or :data:`MLP`.
    episodes: the budget; ``None`` for the task's.
    keep: file for the best parameters.

    Returns
    -------
    ``trials``, ``zeroed`` (observation weights of the hidden groups set to zero; ``None`` for the MLP), ``blank``,
    ``mirrored`` as :meth:`host.study.robot_trials.Trials.to_dict`; ``validation`` (episode, environment steps, score);
    ``episodes``, ``steps``, ``seconds`` of processor time in training.
    """
    torch.set_num_threads(1)
    chosen = get_task(task)
    settings = settings_of(chosen, backend, assignments)
    training = settings.training
    agent = agent_of(chosen, backend, settings, seed)
    began, done, steps, best, streak = time.process_time(), 0, 0, -np.inf, 0
    curve: list[list[float]] = []
    state = agent.state()
    budget = episodes or training.episodes
    with (
        contextlib.closing(RolloutPpo(chosen, agent, settings.ppo, settings.critic)) as learner,
        contextlib.closing(Validation(Fleet(chosen, training.validation_episodes), seed, chosen.score)) as validation,
    ):
        while done < budget and not 0 < training.hold <= streak:
            before = done
            ended = learner.advance()
            done += len(ended)
            steps = ended[-1].steps if ended else steps
            if done // training.validate_every > before // training.validate_every or done >= budget:
                score = float(validation.run(agent).mean())
                curve.append([done, steps, score])
                streak = streak + 1 if score >= training.threshold else 0
                if score > best:
                    best, state = score, {name: array.copy() for name, array in agent.state().items()}
    seconds = time.process_time() - began
    agent.restore(state)
    result: dict[str, Any] = {"episodes": done, "steps": steps, "seconds": round(seconds, 1), "validation": curve}
    result["trials"] = try_out(agent, chosen).to_dict()
    result["blank"] = try_out(agent, chosen, blank=1).to_dict()
    result["mirrored"] = try_out(agent, chosen, mirror=1).to_dict()
    result["zeroed"] = None
    if backend != MLP:
        parameters = agent.read()
        if keep is not None:
            Path(keep).parent.mkdir(parents=True, exist_ok=True)
            parameters.save(keep)
        parameters.weight[settings.network.neurons :, : settings.network.hidden] = 0.0
        agent.load(parameters)
        result["zeroed"] = try_out(agent, chosen).to_dict()
    return result
