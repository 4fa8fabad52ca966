"""Cases of ``svpg study spikes`` that train in rate mode and play in spike mode: scores and costs over T and R."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.parameters import Parameters
from host.agent import Agent, initial_parameters
from host.backends.golden import GoldenBackend
from host.classify import OneStep
from host.datasets import load_mnist, observations
from host.evaluation import Validation
from host.fleet import Fleet
from host.run import RunFolder
from host.seeds import Purpose
from host.settings import RunConfig
from host.study.mnist import settings_of
from host.tasks import get_task

EPISODES = 20
"""Greedy episodes per point of the pendulum."""

VISITED = 1000
"""Observations that costs are averaged over."""

RATE = "rate"
"""Stands in the place of a spike variant's name."""


def variant(config: DeviceConfig, name: str) -> DeviceConfig:
    """The device of ``rate`` or of ``T/R/observations``, for example ``32/16/analog``."""
    if name == RATE:
        return config
    steps, window, obs_spikes = name.split("/")
    return config.replace(mode="spike", steps=int(steps), window=int(window), obs_spikes=obs_spikes)


def mnist_parameters(seed: int, batches: int) -> tuple[DeviceConfig, Parameters]:
    """A net of the task's defaults, trained in rate mode on golden."""
    settings = settings_of("golden", [])
    agent = Agent(GoldenBackend(settings.network), settings.learning, seed)
    agent.load(initial_parameters(settings.network, settings.learning, seed))
    learner = OneStep(load_mnist(), agent, settings.classify, None)
    for _ in range(batches):
        learner.advance()
    return settings.network, agent.read()


def pendulum_parameters(seed: int, episodes: int | None, removed: str) -> tuple[DeviceConfig, Parameters]:
    """The same for the pendulum: the best parameters of a run."""
    from host.training import extended, train

    settings = get_task("inverted-pendulum").defaults("golden", "ppo").override([f"network.removed={removed}"])
    config = extended(RunConfig("inverted-pendulum", "golden", "ppo", seed, settings), episodes)
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "run"
        train(config, str(path))
        return settings.network, RunFolder(path).parameters()


def play_mnist_case(seed: int, batches: int, variants: list[str]) -> dict[str, Any]:
    """Greedy accuracy on the test images of one trained net, ``{variant: accuracy}``."""
    config, parameters = mnist_parameters(seed, batches)
    data = load_mnist()
    obs = observations(data.test_images).astype(np.float64)
    result = {}
    for name in variants:
        agent = Agent(GoldenBackend(variant(config, name)), seed=seed)
        agent.load(parameters)
        action = agent.decide(obs, Purpose.PLAY, 0, "greedy").action
        result[name] = float((action == data.test_labels).mean())
    return result


def play_pendulum_case(seed: int, episodes: int | None, variants: list[str], removed: str = "none") -> dict[str, Any]:
    """Mean return of :data:`EPISODES` greedy episodes of one trained policy, ``{variant: return}``."""
    config, parameters = pendulum_parameters(seed, episodes, removed)
    result = {}
    for name in variants:
        agent = Agent(GoldenBackend(variant(config, name)), seed=seed)
        agent.load(parameters)
        validation = Validation(Fleet(get_task("inverted-pendulum"), EPISODES), seed + 1)
        result[name] = float(validation.run(agent).mean())
        validation.close()
    return result


class _Seen(GoldenBackend):
    """Keeps the observations it decides."""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self.obs: list[NDArray[np.float64]] = []

    def infer(self, obs: NDArray[np.float64], *arguments: Any, **named: Any) -> Any:
        self.obs.append(obs)
        return super().infer(obs, *arguments, **named)


def cost_case(task: str, seed: int, budget: int | None, variants: list[str]) -> dict[str, Any]:
    """What a decision costs, on average over :data:`VISITED` observations that the trained net met.

    Returns
    -------
    ``{variant: {events, row_words, additions, terms, products}}``. ``additions``: synapses that the events reach.
    ``terms``: softmax terms 2^d. ``products``: multiplications of the softmax and of the draws; those of the
    synapses are the additions in rate mode and none in spike mode.
    """
    if task == "mnist":
        assert budget is not None
        config, parameters = mnist_parameters(seed, budget)
        obs = observations(load_mnist().test_images).astype(np.float64)[:VISITED]
    else:
        config, parameters = pendulum_parameters(seed, budget, "hh")
        player = _Seen(config)
        agent = Agent(player, seed=seed)
        agent.load(parameters)
        validation = Validation(Fleet(get_task(task), EPISODES), seed + 1)
        validation.run(agent)
        validation.close()
        visited = np.concatenate(player.obs)
        obs = visited[:: max(1, len(visited) // VISITED)][:VISITED]
    return {name: _cost(variant(config, name), parameters, obs, seed) for name in variants}


def _cost(config: DeviceConfig, parameters: Parameters, obs: NDArray[np.float64], seed: int) -> dict[str, float]:
    counted = {}
    # With one synapse per row word, row words are synapses.
    for lanes in (config.lanes, 1):
        agent = Agent(GoldenBackend(config.replace(lanes=lanes)), seed=seed)
        agent.load(parameters)
        counted[lanes] = agent.decide(obs, Purpose.PLAY, 0, "greedy")
    whole, single = counted[config.lanes], counted[1]
    passes = float(whole.iterations.mean())
    groups = config.groups + 1
    if config.spikes:
        # One product per draw; in the last R steps the action group's reciprocal and its probabilities.
        products = float(config.steps * groups + config.window * (1 + config.actions))
    else:
        # A reciprocal per group and pass, and one product per neuron.
        products = passes * (groups + config.neurons)
    return {
        "events": float(whole.counters["events"].mean()),
        "row_words": float(whole.counters["row_words"].mean()),
        "additions": float(single.counters["row_words"].mean()),
        "terms": passes * config.neurons,
        "products": products,
    }
