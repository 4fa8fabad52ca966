"""``svpg study control``: pendulum and CartPole from scratch, many seeds, rules side by side."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from host.evaluation import play
from host.run import RunFolder
from host.settings import RunConfig
from host.study.runner import Case, Finished, grouped, markdown_table, run_cases, write_report
from host.study.runs import PUBLISHED
from host.tasks import get_task

VARIANTS: list[tuple[str, str, str, list[str], int]] = [
    # name, task, backend, settings, seeds out of ten
    ("pendulum, contrastive", "inverted-pendulum", "golden", ["network.removed=none"], 10),
    ("pendulum, contrastive, S→A removed", "inverted-pendulum", "golden", ["network.removed=hhsa"], 10),
    (
        "pendulum, contrastive, plain modulator",
        "inverted-pendulum",
        "golden",
        ["network.removed=none", "learning.modulator=plain", "learning.entropy=1"],
        4,
    ),
    ("pendulum, published", "inverted-pendulum", "golden", ["network.removed=none", *PUBLISHED], 4),
    ("pendulum, published, S→A removed", "inverted-pendulum", "golden", ["network.removed=sa", *PUBLISHED], 4),
    ("pendulum, contrastive", "inverted-pendulum", "float", ["network.removed=none"], 3),
    ("CartPole, contrastive", "cartpole", "golden", [], 5),
    ("CartPole, contrastive", "cartpole", "float", [], 3),
]
PLAYED = 20
"""Fresh greedy episodes after training."""


def train_case(task: str, backend: str, seed: int, assignments: list[str], episodes: int | None) -> dict[str, Any]:
    """Train into a temporary run folder, then play its best parameters on fresh starts, as ``svpg play`` does.

    Returns
    -------
    ``solved``, ``solved_episode`` (of the first of the validations that held), ``episodes``, ``seconds`` (processor
    time of this process, so that runs side by side don't lengthen each other), ``played`` (mean return of
    :data:`PLAYED` episodes), ``validation`` (pairs of episode and mean).
    """
    from host.agent import Agent
    from host.backends.registry import make_backend
    from host.training import extended, train

    settings = get_task(task).defaults(backend, "ppo").override(assignments)
    config = extended(RunConfig(task, backend, "ppo", seed, settings), episodes)
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "run"
        began = time.process_time()
        result = train(config, str(path))
        seconds = time.process_time() - began
        folder, _ = RunFolder.open(path)
        metrics = folder.metrics()
        validated = np.flatnonzero(~np.isnan(metrics["validation"]))
        parameters = folder.parameters()
    agent = Agent(make_backend(backend, settings.network), seed=seed)
    agent.load(parameters)
    env = get_task(task).make()
    played = play(agent, env, PLAYED, seed)
    env.close()
    return {
        "solved": result.solved,
        "solved_episode": result.solved_episode,
        "episodes": result.episodes,
        "seconds": round(seconds, 1),
        "played": float(played.returns.mean()),
        "validation": [[int(metrics["episode"][i]), float(metrics["validation"][i])] for i in validated],
    }


SEEDS = 10
"""Default number of seeds."""


def cases(seeds: int, episodes: int | None) -> list[Case]:
    """All runs, the first seed of everything first."""
    result = []
    for seed in range(1, seeds + 1):
        for name, task, backend, assignments, tenths in VARIANTS:
            if (seed - 1) * 10 < tenths * seeds:
                arguments = {
                    "task": task,
                    "backend": backend,
                    "seed": seed,
                    "assignments": assignments,
                    "episodes": episodes,
                }
                result.append(Case(f"{name}|{backend}", train_case, arguments))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``control.md`` and ``control.png`` into ``out``; returns the table."""
    finished = run_cases(cases(seeds, 40 if quick else None), journal, workers)
    table = _table(finished)
    _plot(finished, out / "control.png")
    write_report(out / "control.md", _text(table))
    return table


def _table(finished: list[Finished]) -> str:
    rows = []
    for name, items in grouped(finished).items():
        variant, backend = name.split("|")
        solved = [item.result for item in items if item.result["solved"]]
        episodes = sorted(result["episodes"] for result in solved)
        rows.append(
            [
                variant,
                backend,
                f"{len(solved)} of {len(items)}",
                f"{np.median(episodes):.0f} ({episodes[0]}–{episodes[-1]})" if episodes else "–",
                f"{np.median([item.result['seconds'] for item in items]):.0f}"
                f" (≤ {max(item.result['seconds'] for item in items):.0f})",
                f"{np.mean([item.result['played'] for item in items]):.0f}",
            ]
        )
    return markdown_table(
        ["task", "arithmetic", "solved", "episodes till held", "seconds", f"{PLAYED} fresh episodes"], rows
    )


def _plot(finished: list[Finished], path: Path) -> None:
    from host.study.plots import figure

    with figure(path, width=11.0) as axes:
        for number, (name, items) in enumerate(grouped(finished).items()):
            longest = max((item.result["validation"] for item in items), key=len)
            episodes = [point[0] for point in longest]
            # A run that was solved stopped there; its last value stands for what would follow.
            curves = [
                [point[1] for point in item.result["validation"]]
                + [item.result["validation"][-1][1]] * (len(longest) - len(item.result["validation"]))
                for item in items
                if item.result["validation"]
            ]
            axes.plot(episodes, np.mean(curves, axis=0), color=f"C{number}", label=name.replace("|", ", "))
        axes.axhline(195, color="grey", lw=1, ls=":")
        axes.set_xlabel("training episodes")
        axes.set_ylabel("greedy return, mean over seeds")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _text(table: str) -> str:
    return f"""# Control tasks from scratch

Regenerate with `svpg study control`. *Solved*: the mean of 10 greedy validation episodes is at least 195 of 200 in
three validations in a row, 20 episodes apart; *episodes till held* is the median (range) of the episode at which the
third was reached, of at most 1,200. Seconds are processor time of one core, everything included. The last column plays
the best parameters greedily from fresh starts, solved or not.

{table}

![greedy return over episodes](control.png)
"""
