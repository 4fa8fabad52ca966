"""``svpg study doom``: health gathering from pictures, seeds and rules side by side, and whether the agents look."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from golden.parameters import Parameters
from host.agent import Agent
from host.envs.doom import blind_script
from host.evaluation import play
from host.packed import digest, shipped, unpack
from host.run import RunFolder
from host.seeds import Purpose, environment_seed
from host.settings import RunConfig, Settings
from host.study.runner import Case, Finished, grouped, markdown_table, missing, run_cases, write_report
from host.study.runs import MLP, is_begun, run_config, trained
from host.tasks import get_task

TASK = "doom-health-gathering"

PUBLISHED = ["learning.rule=published", "learning.init_recurrent=0", "learning.init_obs=0", "network.removed=none"]

VARIANTS: list[tuple[str, str, list[str], int]] = [
    # name, backend, settings, seeds of five
    ("contrastive", "golden", [], 5),
    ("contrastive", "float", [], 2),
    ("published, all connections", "golden", PUBLISHED, 1),
    ("MLP 4800-200-5, backpropagation", MLP, [], 1),
]

SEEDS = 5
"""Default number of seeds."""

LONG = 2100
"""Steps of the longer episodes."""

SHOWS: dict[str, tuple[int, dict[str, float]]] = {
    "usual": (50, {}),
    "long": (5, {"steps": LONG}),
    "mirrored": (10, {"mirror": 1}),
    "blank": (10, {"blank": 1}),
}
"""Greedy episodes and what is different in them."""


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
    (observation weights set to zero) means of ``steps`` and ``medkits``.
    """
    config = run_config(TASK, backend, seed, assignments, episodes)
    settings = config.settings
    goes_on, began = is_begun(Path(path)), _processor_time()
    if backend == MLP:
        agent, curve, steps = _train_mlp(config)
    else:
        agent, rows = trained(config, Path(path))
        curve, steps = [row[1:] for row in rows], int(RunFolder(Path(path)).metrics()["steps"][-1])
    result: dict[str, Any] = {
        "seconds": None if goes_on else round(_processor_time() - began, 1),
        "steps": steps,
        "curve": curve,
    }
    for name, (count, options) in SHOWS.items():
        result[name] = shown(agent, max(1, round(count * share)), seed, options)
    if backend != MLP:
        result["zeroed"] = shown(
            _agent(backend, settings, _zeroed(agent.read()), seed), max(1, round(10 * share)), seed, {}
        )
    return result


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _agent(backend: str, settings: Settings, parameters: Parameters, seed: int) -> Agent:
    from host.backends.registry import make_backend

    agent = Agent(make_backend(backend, settings.network), seed=seed)
    agent.load(parameters)
    return agent


def _train_mlp(config: RunConfig) -> tuple[Agent, list[list[float]], int]:
    """The same PPO with backpropagation; its last parameters count, for it keeps no others."""
    from host.backends.mlp import MlpBackend
    from host.training import Trainer

    class Fresh(MlpBackend):
        """Starts from its own random weights; of an agent's parameters only the centring counts."""

        def load(self, parameters: Parameters) -> None:
            pass

    validations = []
    with contextlib.closing(Trainer(config, Fresh(config.settings.network, config.seed))) as trainer:
        steps = episodes = 0
        while episodes < config.settings.training.episodes:
            before = episodes
            done = trainer.advance()
            episodes += len(done)
            steps = done[-1].steps if done else steps
            every = config.settings.training.validate_every
            if episodes // every > before // every:
                validations.append([float(steps), trainer.validate()])
        return trainer.agent, validations, steps


def _zeroed(parameters: Parameters) -> Parameters:
    """Without observation weights."""
    weight = parameters.weight.copy()
    weight[parameters.neurons :] = 0
    return dataclasses.replace(parameters, weight=weight)


def shown(agent: Agent, episodes: int, seed: int, options: dict[str, float]) -> dict[str, float]:
    """Mean steps, medkits and return of greedy episodes."""
    with contextlib.closing(get_task(TASK).make(**options)) as env:
        played = play(agent, env, episodes, seed)
    return {
        "steps": played.decisions / episodes,
        "medkits": float(np.mean([final["medkits"] for final in played.finals])),
        "return": float(played.returns.mean()),
    }


def blind_case(seed: int, episodes: int) -> dict[str, Any]:
    """The script without eyes, and random actions."""
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {}
    with contextlib.closing(get_task(TASK).make()) as env:
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


def cases(seeds: int, episodes: int | None, share: float, folder: Path) -> list[Case]:
    """All runs, the first seed of everything first."""
    result = [
        Case("blind", blind_case, {"seed": 0, "episodes": max(1, round(20 * share))}),
        Case("changes", changes_case, {"seed": 0}, settings=digest(shipped(get_task(TASK)))),
    ]
    for seed in range(seeds):
        for name, backend, assignments, fifths in VARIANTS:
            if seed * 5 < fifths * seeds:
                arguments = {
                    "backend": backend,
                    "seed": seed,
                    "assignments": assignments,
                    "episodes": episodes,
                    "share": share,
                }
                settings = run_config(TASK, backend, seed, assignments, episodes).text()
                path = folder / f"{name.split(',')[0].split(' ')[0].lower()}-{backend}-{seed}"
                result.append(Case(f"{name}|{backend}", train_case, arguments, {"path": str(path)}, settings))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``doom.md`` and ``doom.png`` into ``out``; returns the table."""
    wanted = cases(seeds, 12 if quick else None, 0.05 if quick else 1.0, journal.parent / journal.stem)
    finished = run_cases(wanted, journal, workers)
    blind, changes, runs = finished[0].result, finished[1].result, finished[2:]
    table = _table(runs, blind)
    _plot(runs, out / "doom.png")
    write_report(out / "doom.md", _text(table, changes, missing(wanted, finished)))
    return table


def _table(finished: list[Finished], blind: dict[str, Any]) -> str:
    rows = []
    for name, items in grouped(finished).items():
        variant, backend = name.split("|")
        for item in items:
            found = item.result
            rows.append(
                [
                    variant,
                    backend,
                    str(item.case.arguments["seed"]),
                    f"{found['steps']:,}",
                    "–" if found["seconds"] is None else f"{found['seconds']:.0f}",
                    f"{found['usual']['medkits']:.1f}",
                    f"{found['usual']['steps']:.0f}",
                    f"{found['long']['steps']:,.0f}",
                    f"{found['mirrored']['steps']:.0f} ({found['mirrored']['medkits']:.0f})",
                    f"{found['blank']['steps']:.0f}",
                    f"{found['zeroed']['steps']:.0f}" if "zeroed" in found else "–",
                ]
            )
    for name, found in blind.items():
        rows.append([name, "–", "–", "–", "–", f"{found['medkits']:.1f}", f"{found['steps']:.0f}", *["–"] * 4])
    return markdown_table(
        [
            "policy",
            "arithmetic",
            "seed",
            "steps of training",
            "seconds",
            "medkits",
            "steps",
            f"steps of {LONG:,}",
            "mirrored: steps (medkits)",
            "blank: steps",
            "observation weights zero: steps",
        ],
        rows,
    )


def _plot(finished: list[Finished], path: Path) -> None:
    from host.study.plots import figure

    with figure(path, width=9.0) as axes:
        for number, (name, items) in enumerate(grouped(finished).items()):
            for place, item in enumerate(items):
                curve = np.array(item.result["curve"]).reshape(-1, 2)
                label = name.replace("|", ", ") if place == 0 else None
                axes.plot(curve[:, 0] / 1000, curve[:, 1], color=f"C{number}", lw=1.2, label=label)
        axes.set_xlabel("environment steps of training, thousands")
        axes.set_ylabel("greedy return (steps + 9 × medkits)")
        axes.legend(fontsize=8, frameon=False)


def _text(table: str, changes: dict[str, float], lacking: str) -> str:
    count = SHOWS["usual"][0]
    return f"""# Health gathering, seen

Regenerate with `svpg study doom`: it goes on from the runs in `journals/doom.jsonl`; give `--journal` a new name to run
all anew. ViZDoom's `health_gathering`, 60 × 80 grey pixels, 20×10 hidden neurons. *Medkits*
and *steps* are means of {count} greedy episodes of 525 steps from fresh starts; *mirrored* and *blank* change the
picture of a trained agent, the last column its weights. *Seconds* are processor time of the training with its
validations and games: what it takes on one core.

Survival alone proves little: a script without eyes lives nearly as long. What counts is how many medkits an agent
finds, and that it fails when it cannot see.

{table}

{lacking}

![greedy return over steps of training](doom.png)

![the trained agent](doom.gif)

The agent of the picture comes with the project: `svpg play {TASK} --pretrained --gif doom.gif`.

## On hardware

`svpg lockstep {TASK} --pretrained --together 1 --decisions 525 --policy greedy` plays one episode on golden and the
RTL (64 lanes) and prints the cycles of a decision; nearly all of them are row words of pixels, four for each of 4,800.
Updating the potentials by the pixels that have changed since the frame before would be exact, and would save little
here: {changes["other"]:.1%} of the centred pixels differ between two frames, because the player moves and the acid does
too. Counting only changes of more than a hundredth of white, which is not exact, {changes["near"]:.1%} remain.
"""
