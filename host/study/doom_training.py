"""Training runs of health gathering for the study, and what their agents do."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from golden.parameters import Parameters
from host.agent import Agent
from host.backends.registry import make_backend
from host.envs.doom import blind_script
from host.evaluation import play
from host.packed import shipped, unpack
from host.seeds import Purpose, environment_seed
from host.settings import RunConfig, Settings
from host.study.runs import MLP, is_begun, run_config, trained, trained_mlp, unseeing
from host.tasks import get_task

TASK = "doom-health-gathering"
SUPREME = "doom-health-gathering-supreme"

LONG = 2100
"""Steps of the longer episodes."""

SHOWS: dict[str, tuple[int, dict[str, float]]] = {
    "usual": (50, {}),
    "long": (5, {"steps": LONG}),
    "mirrored": (10, {"mirror": 1}),
    "blank": (10, {"blank": 1}),
}
"""Greedy episodes and what is different in them."""

ZEROED = 10
"""Greedy episodes without weights from observations to hidden neurons."""


def train_case(
    backend: str, seed: int, assignments: list[str], episodes: int | None, share: float, path: str
) -> dict[str, Any]:
    """Train, then play greedily from fresh starts.

    Parameters
    ----------
    share: of the episodes of :data:`SHOWS` that are played.
    path: run folder; a run in it goes on.

    Returns
    -------
    ``seconds`` (processor time of the training, the games' own included; ``None`` if a run went on), ``steps`` of the
    environment, ``curve`` (pairs of steps and validation), and for every entry of :data:`SHOWS` and ``zeroed``
    (observation→hidden weights set to zero) means of ``steps`` and ``medkits``.
    """
    return _trained_and_shown(run_config(TASK, backend, seed, assignments, episodes), backend, share, Path(path))


def supreme_case(seed: int, episodes: int | None, share: float, path: str) -> dict[str, Any]:
    """The same on golden in the maze with poison."""
    return _trained_and_shown(run_config(SUPREME, "golden", seed, [], episodes), "golden", share, Path(path))


def _trained_and_shown(config: RunConfig, backend: str, share: float, path: Path) -> dict[str, Any]:
    settings, seed = config.settings, config.seed
    goes_on, began = is_begun(path), _processor_time()
    run = trained_mlp(config) if backend == MLP else trained(config, path)
    result: dict[str, Any] = {
        "seconds": None if goes_on else round(_processor_time() - began, 1),
        "steps": run.steps,
        "curve": [row[1:] for row in run.validations],
    }
    for name, (count, options) in SHOWS.items():
        result[name] = shown(config.task, run.agent, max(1, round(count * share)), seed, options)
    if backend != MLP:
        blind = _agent(backend, settings, unseeing(run.agent.read()), seed)
        result["zeroed"] = shown(config.task, blind, max(1, round(ZEROED * share)), seed, {})
    return result


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _agent(backend: str, settings: Settings, parameters: Parameters, seed: int) -> Agent:
    agent = Agent(make_backend(backend, settings.network), seed=seed)
    agent.load(parameters)
    return agent


def shown(task: str, agent: Agent, episodes: int, seed: int, options: dict[str, float]) -> dict[str, float]:
    """Mean steps, medkits and return of greedy episodes."""
    with contextlib.closing(get_task(task).make(**options)) as env:
        played = play(agent, env, episodes, seed)
    return {
        "steps": played.decisions / episodes,
        "medkits": float(np.mean([final["medkits"] for final in played.finals])),
        "return": float(played.returns.mean()),
    }


def blind_case(seed: int, episodes: int, task: str = TASK) -> dict[str, Any]:
    """The script without eyes, and random actions."""
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {}
    with contextlib.closing(get_task(task).make()) as env:
        for name in ("blind script", "random"):
            steps, medkits = [], []
            for episode in range(episodes):
                env.reset(seed=environment_seed(seed, Purpose.PLAY, 0, episode))
                script, ended, count, info = blind_script(), False, 0, {"medkits": 0}
                while not ended:
                    action = next(script) if name == "blind script" else int(rng.integers(5))
                    _, _, terminated, truncated, info = env.step(action)
                    ended = terminated or truncated
                    count += 1
                steps.append(count)
                medkits.append(info["medkits"])
            result[name] = {"steps": float(np.mean(steps)), "medkits": float(np.mean(medkits))}
    return result


def changes_case(seed: int) -> dict[str, Any]:
    """What the shipped agent's observations have in common with those before them, over one episode.

    Returns
    -------
    ``other``: share of observations that differ, as the device has them, from those of the frame before; ``near``: the
    same where only differences of more than a hundredth of white count (which would not be exact).
    """
    config, parameters = unpack(shipped(get_task(TASK)))
    agent = _agent("golden", config.settings, parameters, seed)
    frames: list[Any] = []
    with contextlib.closing(get_task(TASK).make()) as env:
        obs, _ = env.reset(seed=environment_seed(seed, Purpose.PLAY, 0, 0))
        ended = False
        while not ended:
            row = np.asarray(obs, dtype=np.float64)[None]
            frames.append(agent.prepare(row)[0])
            obs, _, terminated, truncated, _ = env.step(int(agent.decide(row, Purpose.PLAY, 0, "greedy").action[0]))
            ended = terminated or truncated
    seen = np.array(frames)
    raw = config.settings.network.obs.quantise(seen)
    return {
        "other": float((raw[1:] != raw[:-1]).mean()),
        "near": float((np.abs(seen[1:] - seen[:-1]) > 0.01).mean()),
    }
