"""``svpg play``."""

from __future__ import annotations

import argparse
import contextlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from host.agent import Agent
from host.backends.registry import check_backend, make_backend
from host.commands.port import port_of
from host.commands.report import Report, check_seed, check_writable, two_columns
from host.interrupts import interruptible
from host.packed import trained
from host.seeds import Purpose, environment_seed
from host.settings import RunConfig, in_mode
from host.tasks import Task, get_task

Array = NDArray[np.float64]


def run(arguments: argparse.Namespace) -> Report:
    """``svpg play``: episodes without learning, or the whole test split."""
    check_seed(arguments.seed)
    config, parameters = trained(arguments.run, arguments.pretrained)
    task = get_task(config.task)
    backend = arguments.backend or config.backend
    if not all(text.startswith("network.") for text in arguments.assignments):
        raise SvpgError("--set: play takes network.KEY=VALUE only")
    network = config.settings.override(in_mode(arguments.mode, arguments.assignments)).network
    check_backend(backend, network.mode)
    port = port_of(arguments, backend)
    if arguments.raster is not None:
        from host.raster import check_raster

        check_raster(network, arguments.raster, arguments.raster_group)
        check_writable(arguments.raster)
    elif arguments.raster_group is not None:
        raise SvpgError("--raster-group chooses what --raster FILE draws; give it with that")
    task.check(parameters, str(arguments.run))
    if arguments.gif is not None:
        check_writable(arguments.gif)
    variation = task.variation(arguments.environment)
    if task.environment is None and arguments.gif is not None:
        raise SvpgError(f"--gif draws an environment, and {task.name} has none; leave it out")
    with contextlib.closing(make_backend(backend, network, port=port)) as device:
        agent = Agent(device, seed=arguments.seed)
        agent.load(parameters)
        if task.environment is None:
            return _classify(task, config, agent, backend, arguments)
        return _control(task, config, agent, arguments, variation)


def _draw(task: Task, agent: Agent, obs: Array, policy: str, arguments: argparse.Namespace) -> dict[str, str]:
    """``--raster``: the spikes of the first decision; what the report says of it."""
    if arguments.raster is None:
        return {}
    from host.raster import decide, save_raster

    title = f"spikes of one decision: {task.name}, {agent.backend.name}"
    save_raster(decide(agent, obs, policy), title, arguments.raster, arguments.raster_group)
    return {"raster": str(arguments.raster)}


def _control(
    task: Task, config: RunConfig, agent: Agent, arguments: argparse.Namespace, variation: dict[str, float]
) -> Report:
    from host.evaluation import play as play_episodes
    from host.gif import Animation

    policy = arguments.policy or task.policy
    # A rule that draws the action given the hidden winners has learnt that policy; spikes have no such.
    learned = policy == "sample" and config.settings.learning.rule == "conditional"
    if learned and not agent.config.spikes:
        policy = "conditional"
    picture = "rgb_array" if arguments.gif is not None else None
    with interruptible(), contextlib.closing(task.make(render_mode=picture, **variation)) as env:
        animation = Animation(env.metadata["render_fps"]) if arguments.gif is not None else None
        played = play_episodes(
            agent, env, arguments.episodes, arguments.seed, policy, animation.add if animation is not None else None
        )
        first, _ = env.reset(seed=environment_seed(arguments.seed, Purpose.PLAY, 0, 0))
        drawn = _draw(task, agent, np.asarray(first, dtype=np.float64), policy, arguments)
    if animation is not None:
        animation.save(arguments.gif)
    data: dict[str, Any] = {
        "task": task.name,
        "backend": agent.backend.name,
        "policy": policy,
        "episodes": arguments.episodes,
        "mean_return": float(played.returns.mean()),
        "std_return": float(played.returns.std()),
        **{f"mean_{name}": float(np.mean([final[name] for final in played.finals])) for name in task.measures},
        "decisions": played.decisions,
        "decisions_per_s": round(played.decisions / played.seconds, 1),
    }
    if played.cycles is not None:
        data["cycles_per_decision"] = played.cycles
    data |= drawn
    return Report(data, two_columns(data))


def _classify(task: Task, config: RunConfig, agent: Agent, backend: str, arguments: argparse.Namespace) -> Report:
    from host.classify import classify
    from host.datasets import load_mnist, observations

    policy = arguments.policy or task.policy
    data_set = load_mnist(config.settings.classify.source or None)
    # The first decision of a process may have to load compiled code and is not timed.
    agent.decide(np.zeros((1, task.inputs)), Purpose.PLAY, 0, policy)
    began = time.perf_counter()
    result = classify(agent, data_set.test_images, data_set.test_labels, policy)
    seconds = time.perf_counter() - began
    count = len(data_set.test_images)
    right = round(result.accuracy * count)
    rewards = np.where(np.arange(count) < right, config.settings.classify.right, config.settings.classify.wrong)
    data: dict[str, Any] = {
        "task": task.name,
        "backend": backend,
        "policy": policy,
        "episodes": count,
        "accuracy": result.accuracy,
        "mean_return": float(rewards.mean()),
        "std_return": float(rewards.std()),
        "decisions": count,
        "decisions_per_s": round(count / seconds, 1),
    }
    if result.cycles is not None:
        data["cycles_per_decision"] = result.cycles
    data |= _draw(task, agent, observations(data_set.test_images[:1])[0].astype(np.float64), policy, arguments)
    return Report(data, two_columns(data))
