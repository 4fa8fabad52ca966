"""``svpg study robots``: the robot arm and navigation from pixels, rules and arithmetics side by side."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from golden.parameters import Parameters
from host.agent import Agent
from host.backends.registry import make_backend
from host.evaluation import play
from host.gif import Animation
from host.study.robot_training import FRESH, MLP, TRIAL_SEED, TRIALS, train_case, try_out
from host.study.runner import Case, Finished, grouped, markdown_table, run_cases, write_report
from host.tasks import Task, get_task

SEEDS = 5
"""Default number of seeds."""

TASKS = ("robot-arm", "robot-navigation")
PUBLISHED = ["learning.rule=published", "learning.init_recurrent=0", "learning.init_obs=0", "network.removed=none"]

VARIANTS: list[tuple[str, str, list[str], int]] = [
    # rule, backend, settings, seeds out of five
    ("contrastive", "golden", [], 5),
    ("contrastive", "float", [], 2),
    ("published", "golden", PUBLISHED, 1),
    ("MLP, backpropagation", MLP, [], 1),
]


def cases(seeds: int, episodes: int | None, folder: Path) -> list[Case]:
    """All runs, the first seed of everything first."""
    result = []
    for seed in range(1, seeds + 1):
        for task in TASKS:
            for name, backend, assignments, fifths in VARIANTS:
                if (seed - 1) * 5 < fifths * seeds:
                    keep = None if backend == MLP else str(folder / f"{task}-{name}-{backend}-{seed}.npz")
                    arguments = {
                        "task": task,
                        "backend": backend,
                        "seed": seed,
                        "assignments": assignments,
                        "episodes": episodes,
                        "keep": keep,
                    }
                    result.append(Case(f"{task}|{name}|{backend}", train_case, arguments))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``robots.md``, pictures and films into ``out``; returns the table."""
    folder = journal.parent / journal.stem
    finished = run_cases(cases(seeds, 40 if quick else None, folder), journal, workers)
    table, oracles = _table(finished), _oracles()
    for name in TASKS:
        _plot(finished, name, out / f"{name}.png")
        _film(finished, get_task(name), out / f"{name}.gif")
    write_report(out / "robots.md", _text(table, oracles, _looking(finished)))
    return table


def _best(finished: list[Finished], task: str) -> Finished:
    """Golden's run with the best validation."""
    runs = [item for item in finished if item.case.name == f"{task}|contrastive|golden"]
    return max(runs, key=lambda item: max(point[2] for point in item.result["validation"]))


def _film(finished: list[Finished], task: Task, path: Path) -> None:
    parameters = Parameters.load(_best(finished, task.name).case.arguments["keep"])
    assert parameters.device is not None
    with contextlib.closing(task.make(render_mode="rgb_array", **FRESH[task.name])) as env:
        animation = Animation(env.metadata["render_fps"], every=1)
        agent = Agent(make_backend("golden", parameters.device), seed=TRIAL_SEED)
        agent.load(parameters)
        play(agent, env, 1, TRIAL_SEED, on_frame=animation.add)
    animation.save(path)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _table(finished: list[Finished]) -> str:
    rows = []
    for name, items in grouped(finished).items():
        task, rule, backend = name.split("|")
        played = [item.result["trials"] for item in items]
        ratios = [result["ratio"] for result in played if result["success"]]
        rows.append(
            [
                task,
                rule,
                {MLP: "float"}.get(backend, backend),
                ", ".join(_share(result["success"]) for result in played),
                f"{np.mean([result['steps'] for result in played if result['success']]):.1f}" if ratios else "–",
                ", ".join(f"{ratio:.2f}" for ratio in ratios) or "–",
                f"{np.median([item.result['steps'] for item in items]):.0f}",
                f"{np.median([item.result['seconds'] for item in items]):.0f}",
            ]
        )
    header = ["task", "rule", "arithmetic", f"success in {TRIALS}, per seed", "steps", "of oracle's", "trained", "s"]
    return markdown_table(header, rows)


def _oracles() -> str:
    return markdown_table(
        ["task", "oracle's steps", "its success"],
        [
            [name, f"{result.steps:.1f}", _share(result.success)]
            for name in TASKS
            for result in [try_out(None, get_task(name), blank=1)]
        ],
    )


def _looking(finished: list[Finished]) -> str:
    rows = []
    for name, items in grouped(finished).items():
        task, rule, backend = name.split("|")
        shares = [
            "–" if items[0].result[key] is None else _share(np.mean([item.result[key]["success"] for item in items]))
            for key in ("trials", "zeroed", "blank", "mirrored")
        ]
        rows.append([task, rule, {MLP: "float"}.get(backend, backend), *shares])
    return markdown_table(["task", "rule", "arithmetic", "as it is", "zeroed S→H", "blank", "mirrored"], rows)


def _plot(finished: list[Finished], task: str, path: Path) -> None:
    from host.study.plots import figure

    with figure(path, width=9.0) as axes:
        chosen = {name: items for name, items in grouped(finished).items() if name.startswith(f"{task}|")}
        for number, (name, items) in enumerate(chosen.items()):
            for item in items:
                points = np.array(item.result["validation"])
                label = name.partition("|")[2].replace("|", ", ") if item is items[0] else None
                axes.plot(points[:, 1], points[:, 2], color=f"C{number}", label=label)
        axes.set_xlabel("environment steps")
        axes.set_ylabel("validation score, greedy")
        axes.set_title(task)
        axes.legend(fontsize=8)


def _text(table: str, oracles: str, looking: str) -> str:
    return f"""# Robot tasks from pixels

Regenerate with `svpg study robots`. Both are counterparts on PyBullet of tasks of the paper, which used CoppeliaSim and
AI2-THOR; docstrings of `host/envs/robot_arm.py` and `host/envs/robot_navigation.py` say what is the same. Networks of
20 × 10 hidden neurons without S→A and H–H see 4,096 or 4,800 grey pixels, centred. Training ends when two
validations in a row reach the task's threshold, or at its budget of episodes. *Score* is the shortest way over the
steps taken, 0 without success, mean of 50 greedy episodes from training starts; it chooses the parameters.

After training, {TRIALS} greedy episodes from starts that no training has seen: cubes anywhere in the area (arm),
starts of the test set (navigation). *Steps* are means over the successful episodes; *of oracle's* is their ratio to the
least possible in the same episodes, per seed; *trained*, median environment steps of training; *s*, median processor
seconds.

{table}

The same episodes, played by the oracle:

{oracles}

Whether the policy looks, and whether the hidden layer is in use: success with the observation→hidden weights set to
zero, of a policy that sees nothing, and of one that sees left and right exchanged; means over seeds.

{looking}

![arm](robot-arm.png)
![navigation](robot-navigation.png)

Golden, from a fresh start: ![arm](robot-arm.gif) ![navigation](robot-navigation.gif)
"""
