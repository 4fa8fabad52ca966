"""``svpg study rules``: the learning rules on MNIST through reward, against a linear policy and backpropagation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host.study.mnist import MLP, train_case
from host.study.runner import Case, Finished, grouped, markdown_table, run_cases, write_report
from host.study.runs import PUBLISHED, ZERO_START

SEEDS = 2
"""Default number of seeds."""

MARKS = [200, 500, 1000, 2000, 3000]
PPO = "classify.epochs=5"
CONDITIONAL = ["learning.rule=conditional", *ZERO_START]

VARIANTS: list[tuple[str, list[str], float | None, int]] = [
    # name, settings, PPO clip (None: one update per batch), hidden units of the MLP (0: a network on the backends)
    ("linear softmax policy", ["network.removed=ha", *PUBLISHED], None, 0),
    ("published", ["network.removed=none", *PUBLISHED], None, 0),
    ("published, S→A removed", ["network.removed=sa", *PUBLISHED], None, 0),
    ("conditional, S→A removed", ["network.removed=sa", *CONDITIONAL], None, 0),
    ("contrastive, S→A removed", ["network.removed=sa"], None, 0),
    ("contrastive, S→A and H–H removed", [], None, 0),
    ("contrastive, S→A and H–H removed, 50x10", ["network.groups=50"], None, 0),
    ("contrastive, S→A and H–H removed, PPO 5 epochs", [PPO], 0.2, 0),
    ("MLP 784-200-10, backpropagation", [], None, 200),
    ("MLP 784-500-10, backpropagation", ["network.groups=50"], None, 500),
    ("MLP 784-200-10, backpropagation, PPO 5 epochs", [PPO], 0.2, 200),
]


def cases(seeds: int, marks: list[int]) -> list[Case]:
    """All runs: every variant on float and golden, seeds 1, 2, …"""
    result = []
    for seed in range(1, seeds + 1):
        for name, assignments, clip, mlp in VARIANTS:
            for backend in [MLP] if mlp else ["golden", "float"]:
                arguments = {
                    "backend": backend,
                    "seed": seed,
                    "marks": marks,
                    "assignments": assignments,
                    "clip": clip,
                }
                result.append(Case(f"{name}|{backend}", train_case, arguments))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``rules.md`` and ``rules.png`` into ``out``; returns the table."""
    marks = MARKS[:2] if quick else MARKS
    finished = run_cases(cases(seeds, marks), journal, workers)
    table = _table(finished, marks)
    _plot(finished, marks, out / "rules.png")
    write_report(out / "rules.md", _text(table, seeds))
    return table


def _accuracy(items: list[Finished]) -> np.ndarray:
    return np.array([item.result["accuracy"] for item in items])


def _table(finished: list[Finished], marks: list[int]) -> str:
    rows = []
    for name, items in grouped(finished).items():
        accuracy = _accuracy(items)
        variant, backend = name.split("|")
        zeroed = [item.result["zeroed"] for item in items]
        spread = f" ± {accuracy[:, -1].std(ddof=1):.3f}" if len(items) > 1 else ""
        rows.append(
            [
                variant,
                {MLP: "float"}.get(backend, backend),
                *(f"{value:.3f}" for value in accuracy.mean(axis=0)[:-1]),
                f"{accuracy[:, -1].mean():.3f}{spread}",
                "–" if None in zeroed else f"{np.mean(zeroed):.3f}",
            ]
        )
    return markdown_table(["rule", "arithmetic", *(f"{mark} batches" for mark in marks), "zeroed S→H"], rows)


def _plot(finished: list[Finished], marks: list[int], path: Path) -> None:
    import matplotlib

    from host.study.plots import figure

    palette = matplotlib.colormaps["tab20"]
    with figure(path, width=11.0) as axes:
        colours: dict[str, tuple[float, ...]] = {}
        for name, items in grouped(finished).items():
            variant, backend = name.split("|")
            colours.setdefault(variant, palette(2 * len(colours) % 20 + (2 * len(colours) >= 20)))
            error = 1 - _accuracy(items).mean(axis=0)
            line = "--" if backend == "float" else "-"
            axes.plot(marks, error, line, marker="o", ms=3, color=colours[variant], label=_label(variant, backend))
        axes.set_xlabel("batches of 100 images")
        axes.set_ylabel("test error")
        axes.set_yscale("log")
        ticks = [0.06, 0.07, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8]
        axes.set_yticks(ticks, labels=[f"{tick:.2f}" for tick in ticks], minor=False)
        axes.minorticks_off()
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        axes.set_title("MNIST from reward: golden (solid), floating point (dashed)")


def _label(variant: str, backend: str) -> str | None:
    return None if backend == "float" else variant


def _text(table: str, seeds: int) -> str:
    return f"""# Learning rules on MNIST

Regenerate with `svpg study rules`. One-step reinforcement learning: an image, a class drawn from the policy, reward ±1
less a running baseline, one update per batch of 100. The packaged 5,000 digits, split 4,000 / 1,000 once and for all;
the figures are greedy accuracy on the 1,000 test images (one standard error of a proportion of .92 is .009), mean over
{seeds} seeds, with the seeds' standard deviation in the last column of batches. *Zeroed S→H*: the trained net with its
observation→hidden weights set to zero, which shows whether the hidden layer is in use.

{table}

![accuracy over batches](rules.png)
"""
