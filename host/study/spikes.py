"""``svpg study spikes``: nets that send spikes, played and trained; what clamping estimates; what a decision costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from host.study.control import train_case as train_control
from host.study.mnist import train_case as train_mnist
from host.study.runner import Case, grouped, run_cases
from host.study.runs import PUBLISHED
from host.study.spike_estimates import (
    COMMON,
    FRESH,
    LONG,
    REPLAYED,
    STEPWISE,
    estimate_mnist_case,
    estimate_small_case,
    train_clamp_case,
)
from host.study.spike_inference import RATE, cost_case, play_mnist_case, play_pendulum_case
from host.study.spike_report import write

SEEDS = 5
"""Default number of seeds; where fewer suffice a case names them as a share of it."""

PLAYED = [
    # name, connections removed, seeds out of five
    ("pendulum", "none", 1),
    ("pendulum, H–H removed", "hh", 3),
]
STEPS = {
    "mnist": [8, 16, 32, 64, 128],
    "pendulum": [8, 16, 32, 64, 128],
    "pendulum, H–H removed": [16, 32, 64],
}
WINDOWS = {
    "mnist": [4, 8, 16, 32, 64],
    "pendulum": [8, 16, 32, 64],
    "pendulum, H–H removed": [8, 16, 32],
}
OBSERVATIONS = ["analog", "bernoulli"]


def spike(steps: int, window: int) -> list[str]:
    """Settings of spike mode."""
    return ["network.mode=spike", f"network.steps={steps}", f"network.window={window}"]


FROZEN = [f"learning.obs_rate={2.0**-20}", "learning.init_obs=0.2"]
"""Observation weights that never change: no update reaches half a step of a weight."""

CONTROL = [
    "network.removed=none",
    "learning.modulator=plain",
    "learning.entropy=0.3",
    "learning.rate=0.001953125",
    "learning.obs_rate=0.001953125",
]
"""The pendulum in spike mode: twice the rate of rate mode, the plain policy gradient."""

PENDULUM: list[tuple[str, list[str], int]] = [
    # name, settings, seeds out of five
    ("contrastive", [*spike(16, 8), *CONTROL], 5),
    ("published", [*spike(16, 8), *CONTROL, *PUBLISHED], 5),
    ("contrastive, S→A and H–H removed", [*spike(16, 8), *CONTROL, "network.removed=hhsa"], 1),
]

MARKS = [200, 500, 1000, 2000]

MNIST: list[tuple[str, str, list[str], list[int], int]] = [
    # name, backend, settings, marks, seeds out of five
    ("contrastive, rate mode", "golden", [], MARKS, 2),
    ("contrastive, 16/8", "golden", spike(16, 8), MARKS, 2),
    ("contrastive, 32/16", "golden", spike(32, 16), MARKS, 2),
    (
        "contrastive, 32/16, Bernoulli observations",
        "golden",
        [*spike(32, 16), "network.obs_spikes=bernoulli"],
        MARKS[:2],
        1,
    ),
    ("contrastive, 32/16, random hidden weights frozen", "golden", [*spike(32, 16), *FROZEN], MARKS[:3], 1),
    ("published, 32/16", "golden", [*spike(32, 16), *PUBLISHED], MARKS[:2], 1),
    ("contrastive, 16/8", "float", spike(16, 8), MARKS, 1),
]

ESTIMATES = [
    RATE,
    *(f"{steps}/{window}/{clamp}" for steps, window in ((16, 8), (32, 16), (64, 32)) for clamp in (COMMON, FRESH)),
    *(f"32/16/{clamp}" for clamp in (STEPWISE, REPLAYED, LONG)),
]
DEVIATIONS = [0.1, 0.3, 1.0]

COSTS = {
    "mnist": [RATE, "16/8/analog", "32/16/analog", "64/32/analog", "64/32/bernoulli"],
    "inverted-pendulum": [RATE, "16/8/analog", "32/16/analog", "64/32/analog"],
}


def grid(net: str, quick: bool) -> list[str]:
    """Names of the spike variants that a trained net is played in."""
    steps = STEPS[net][:2] if quick else STEPS[net]
    return [f"{t}/{r}/{obs}" for obs in OBSERVATIONS for t in steps for r in WINDOWS[net] if r <= t]


def _share(seeds: int, fifths: int) -> range:
    """So many fifths of the seeds, at least one."""
    return range(1, max(1, seeds * fifths // 5) + 1)


def cases(seeds: int, quick: bool) -> list[Case]:
    """All runs, the quick ones first."""
    batches, episodes = (50, 20) if quick else (2000, None)
    result = []
    for seed in _share(seeds, 2):
        mnist = {"seed": seed, "batches": batches, "variants": [RATE, *grid("mnist", quick)]}
        result.append(Case("play|mnist", play_mnist_case, mnist))
    for name, removed, fifths in PLAYED:
        for seed in _share(seeds, fifths):
            pendulum: dict[str, Any] = {"seed": seed, "episodes": episodes, "variants": [RATE, *grid(name, quick)]}
            if removed != "none":
                pendulum["removed"] = removed
            result.append(Case(f"play|{name}", play_pendulum_case, pendulum))
    for task, variants in COSTS.items():
        budget = batches if task == "mnist" else episodes
        cost = {"task": task, "seed": 1, "budget": budget, "variants": variants}
        result.append(Case(f"cost|{task}", cost_case, cost))
    repeats = 2 if quick else 20
    names = ESTIMATES[:3] if quick else ESTIMATES
    # Without hidden-hidden links the last two variants are the first.
    known = [name for name in names if not name.endswith((REPLAYED, LONG))]
    learnt = {"seed": 1, "batches": batches // 10, "repeats": repeats, "variants": known}
    result.append(Case("estimate|mnist", estimate_mnist_case, learnt))
    for deviation in DEVIATIONS:
        for seed in _share(seeds, 3):
            small = {"seed": seed, "deviation": deviation, "repeats": repeats, "variants": names}
            result.append(Case(f"estimate|{deviation}", estimate_small_case, small))
    for name, backend, assignments, marks, fifths in MNIST:
        for seed in _share(seeds, fifths):
            arguments = {
                "backend": backend,
                "seed": seed,
                "marks": [20, 40] if quick else marks,
                "assignments": assignments,
            }
            result.append(Case(f"mnist|{name}|{backend}", train_mnist, arguments))
    clamp = {"seed": 1, "marks": [20, 40] if quick else MARKS[:3], "clamp": FRESH, "assignments": spike(16, 8)}
    result.append(Case("mnist|contrastive, 16/8, fresh numbers|float", train_clamp_case, clamp))
    for name, assignments, fifths in PENDULUM:
        for seed in _share(seeds, fifths):
            control = {
                "task": "inverted-pendulum",
                "backend": "golden",
                "seed": seed,
                "assignments": assignments,
                "episodes": episodes,
            }
            result.append(Case(f"pendulum|{name}", train_control, control))
    return result


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``spikes.md`` and its pictures into ``out``; returns the table of training."""
    return write(out, grouped(run_cases(cases(seeds, quick), journal, workers)))
