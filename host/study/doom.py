"""``svpg study doom``: health gathering from pictures, seeds and rules side by side, and whether the agents look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from golden.errors import SvpgError
from host.packed import digest, shipped
from host.study.doom_training import LONG, SHOWS, SUPREME, TASK, blind_case, changes_case, supreme_case, train_case
from host.study.runner import Case, Finished, Result, grouped, markdown_table, missing, run_cases, write_report
from host.study.runs import MLP, PUBLISHED, run_config
from host.tasks import get_task

VARIANTS: list[tuple[str, str, list[str]]] = [
    # name, backend, settings
    ("contrastive", "golden", []),
    ("contrastive", "float", []),
    ("published, all connections", "golden", [*PUBLISHED, "network.removed=none"]),
    ("MLP 4800-200-5, backpropagation", MLP, []),
]

SEEDS = 5
"""Default number of seeds."""

SUPREME_SEEDS = 3
"""Trainings in the maze."""

OURS = "contrastive|golden"
"""The variant that is to learn soon."""

SOON = 300
"""Seconds."""


def cases(seeds: int, episodes: int | None, share: float, folder: Path) -> list[Case]:
    """All runs, the first seed of everything first."""
    result = [
        Case("blind", blind_case, {"seed": 0, "episodes": max(1, round(20 * share))}),
        Case("changes", changes_case, {"seed": 0}, settings=digest(shipped(get_task(TASK)))),
    ]
    for seed in range(seeds):
        for name, backend, assignments in VARIANTS:
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


def supreme_cases(episodes: int | None, share: float, folder: Path) -> list[Case]:
    """Those who do not look in the maze, and trainings there."""
    blind = {"seed": 0, "episodes": max(1, round(20 * share)), "task": SUPREME}
    result = [Case("supreme, blind", blind_case, blind)]
    for seed in range(SUPREME_SEEDS):
        settings = run_config(SUPREME, "golden", seed, [], episodes).text()
        arguments = {"seed": seed, "episodes": episodes, "share": share}
        local = {"path": str(folder / f"supreme-golden-{seed}")}
        result.append(Case("supreme|golden", supreme_case, arguments, local, settings))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``doom.md`` and ``doom.png`` into ``out``; returns the table."""
    size = (12 if quick else None, 0.05 if quick else 1.0, journal.parent / journal.stem)
    wanted, harder = cases(seeds, *size), supreme_cases(*size)
    finished = run_cases([*wanted, *harder], journal, workers)
    found = {item.case.key: item for item in finished}
    runs = [found[case.key] for case in wanted[2:] if case.key in found]
    if not runs or any(case.key not in found for case in wanted[:2]):
        raise SvpgError(f"{journal}: holds no finished run; give --workers 1 to train")
    blind, changes = (found[case.key].result for case in wanted[:2])
    table = _table(runs, blind)
    _plot(runs, out / "doom.png")
    maze = [found[case.key] for case in harder if case.key in found]
    supreme = _supreme(maze) if harder[0].key in found and len(maze) > 1 else ""
    survivors = _counted(runs, lambda result: result["long"]["steps"] == LONG)
    ours = [item for item in runs if item.case.name == OURS]
    soon = _counted(ours, lambda result: (result["seconds"] or np.inf) <= SOON)
    lacking = missing([*wanted, *harder], finished)
    write_report(out / "doom.md", _text(table, changes, lacking, survivors, soon, supreme))
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
            "S→H zero: steps",
        ],
        rows,
    )


def _supreme(maze: list[Finished]) -> str:
    """Those who do not look and the trainings in the maze: their table and how they went."""
    blind, *trainings = maze
    curves = [
        f"seed {item.case.arguments['seed']} {', '.join(f'{score:.0f}' for _, score in item.result['curve'])}"
        for item in trainings
    ]
    return f"{_table(trainings, blind.result)}\n\nGreedy returns of validations: {'; '.join(curves)}."


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


def _counted(finished: list[Finished], holds: Callable[[Result], bool]) -> str:
    """Of how many seeds of each variant something holds."""
    return "; ".join(
        f"{name.replace('|', ', ')} {sum(holds(item.result) for item in items)} of {len(items)}"
        for name, items in grouped(finished).items()
    )


def _text(table: str, changes: dict[str, float], lacking: str, survivors: str, soon: str, supreme: str) -> str:
    count = SHOWS["usual"][0]
    return f"""# Health gathering, seen

Regenerate with `svpg study doom`: it goes on from the runs in `journals/doom.jsonl`; give `--journal` a new name to run
all anew. ViZDoom's `health_gathering`, 60 × 80 grey pixels, 20×10 hidden neurons. *Medkits*
and *steps* are means of {count} greedy episodes of 525 steps from fresh starts; *mirrored* and *blank* change the
picture of a trained agent, the last column its weights from pixels to hidden neurons. *Seconds* are processor time of
the training with its validations and games. The contrastive rule on golden was trained on one core with nothing beside
it; the others with one or two more jobs on two cores, which share their memory, and most before a step of golden became
cheaper by a quarter (`svpg bench {TASK}/training`, [speed.md](speed.md)). Trained within {SOON} seconds:
{soon or "–"}.

Survival alone proves little: a script without eyes lives nearly as long. What counts is how many medkits an agent
finds, and that it fails when it cannot see.

{table}

{lacking}

Medkits hardly tell the rules apart: the published one, with all connections, and the MLP find about as many, and so do
both arithmetics. Long episodes do. Seeds that live through all {LONG:,} steps: {survivors}. With S→H zero the published
rule lives on for a while, because it looks through its connections from pixels to actions as well, which the
contrastive rule does without.

![greedy return over steps of training](doom.png)

![the trained agent](doom.gif)

The agent of the picture comes with the project: `svpg play {TASK} --pretrained --gif doom.gif`. It is
golden's seed 3. An agent that turns one way only, whichever side a medkit is on, lives on with mirrored pictures; that
it looks, blank ones show.

## Supreme

`{SUPREME}` is a maze with walls, and with vials of poison among the medkits. It has the same settings
but for its budget and four epochs, and is not solved: agents that were trained alike differ by much, and their
validations of six episodes go up and down to the end. That of seed 0 comes with the project:
`svpg play {SUPREME} --pretrained`. Seeds 1 and 2 were trained with one more job, and after steps
had become cheaper.

{supreme}

## On hardware

`svpg lockstep {TASK} --pretrained --together 1 --decisions 525 --policy greedy` plays one episode on golden and the
RTL (64 lanes) and prints the cycles of a decision; nearly all of them are row words of pixels, four for each of 4,800.
Updating the potentials by the pixels that have changed since the frame before would be exact, and would save little
here: {changes["other"]:.1%} of the centred pixels differ between two frames, because the player moves and the acid does
too. Counting only changes of more than a hundredth of white, which is not exact, {changes["near"]:.1%} remain.
"""
