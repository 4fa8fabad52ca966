"""One MNIST training run for the studies: accuracy on the test split at given batches."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from host.agent import Agent, initial_parameters
from host.backend import Backend
from host.backends.mlp import MlpBackend
from host.backends.registry import make_backend
from host.classify import OneStep, accuracy
from host.datasets import load_mnist, observations
from host.seeds import Purpose
from host.settings import Settings
from host.tasks import get_task

MLP = "mlp"
"""Stands in the place of a backend's name for the conventional network."""


def settings_of(backend: str, assignments: list[str]) -> Settings:
    """The task's defaults for a backend with ``--set`` assignments."""
    return get_task("mnist").defaults("float" if backend == MLP else backend, "reinforce").override(assignments)


def train_case(
    backend: str, seed: int, marks: list[int], assignments: list[str], clip: float | None = None
) -> dict[str, Any]:
    """Train on the whole training split to the last of ``marks`` (batches); greedy test accuracy at each.

    Parameters
    ----------
    backend: a backend's name, or :data:`MLP`.
    seed: of start, order and draws.
    assignments: ``section.key=VALUE``.
    clip: PPO's epsilon; ``None`` trains by REINFORCE.

    Returns
    -------
    ``accuracy`` (per mark), ``zeroed`` (accuracy with all observation-to-hidden weights set to zero, ``None`` for
    the MLP), ``events`` and ``row_words`` per decision (``None`` in floating point), ``seconds`` of training.
    """
    settings = settings_of(backend, assignments)
    data = load_mnist(settings.classify.source or None)
    device: Backend
    if backend == MLP:
        device = MlpBackend(settings.network, seed)
        agent = Agent(device, dataclasses.replace(settings.learning, rule="contrastive"), seed)
    else:
        device = make_backend(backend, settings.network)
        agent = Agent(device, settings.learning, seed)
        agent.load(initial_parameters(settings.network, settings.learning, seed))
    learner = OneStep(data, agent, settings.classify, clip)
    scores, seconds = [], 0.0
    for batch in range(1, max(marks) + 1):
        began = time.perf_counter()
        learner.advance()
        seconds += time.perf_counter() - began
        if batch in marks:
            scores.append(accuracy(agent, data.test_images, data.test_labels))
    result: dict[str, Any] = {"accuracy": scores, "seconds": round(seconds, 2), "zeroed": None}
    result["events"] = result["row_words"] = None
    if backend != MLP:
        counters = agent.decide(observations(data.test_images).astype(np.float64), Purpose.PLAY, 0, "greedy").counters
        if counters:
            result["events"] = float(counters["events"].mean())
            result["row_words"] = float(counters["row_words"].mean())
        parameters = agent.read()
        config = settings.network
        parameters.weight[config.neurons :, : config.hidden] = 0.0
        agent.load(parameters)
        result["zeroed"] = accuracy(agent, data.test_images, data.test_labels)
    return result
