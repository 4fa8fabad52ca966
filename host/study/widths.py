"""``svpg study widths``: which formats, passes, starts and update rules the tasks need."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from golden.config import DeviceConfig
from golden.fixed import LOG2E
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
from host.study.control import train_case as train_control
from host.study.mnist import settings_of
from host.study.mnist import train_case as train_mnist
from host.study.runner import Case, Finished, grouped, markdown_table, run_cases, write_report
from host.tasks import get_task

INTEGER_BITS = 5
"""Sign and integer bits of a weight: ±16 octaves."""

WEIGHT_BITS = [6, 8, 10, 12, 16]
ACTIVITY_FRAC = [4, 5, 6, 8, 10, 12]


def _weights(bits: int) -> list[str]:
    return [f"network.weight_bits={bits}", f"network.weight_frac={bits - INTEGER_BITS}"]


def _optimiser(name: str, exponent: int) -> list[str]:
    rate = 2.0**exponent
    return [f"learning.optimiser={name}", f"learning.rate={rate}", f"learning.obs_rate={rate}"]


LEARNING: list[tuple[str, str, list[str]]] = [
    # what is varied, value, settings
    ("defaults", "all below as in docs/numerics.md", []),
    *(("weight bits", str(bits), _weights(bits)) for bits in (10, 12, 14)),
    *(("activity fraction bits", str(frac), [f"network.activity_frac={frac}"]) for frac in (5, 6, 10, 12)),
    *(("observation fraction bits", str(frac), [f"network.obs_frac={frac}"]) for frac in (4, 6)),
    *(
        ("passes (free and clamped)", str(n), [f"network.iterations={n}", f"network.clamp_iterations={n}"])
        for n in (1, 2, 3)
    ),
    ("start", "uniform", ["network.start=uniform"]),
    *(
        ("accumulator bits.fraction", f"{bits}.{frac}", [f"network.acc_bits={bits}", f"network.acc_frac={frac}"])
        for bits, frac in ((24, 14), (16, 11))
    ),
    ("modulator fraction bits", "4", ["network.modulator_frac=4"]),
    *(("update", f"rmsprop 2^{e}", _optimiser("rmsprop", e)) for e in (-8, -9, -10, -11)),
    *(("update", f"sgd 2^{e}", _optimiser("sgd", e)) for e in (-2, -1, 0)),
    *(("update", f"sign 2^{e}", _optimiser("sign", e)) for e in (-9, -10, -11)),
    *(("entropy", str(value), [f"learning.entropy={value}"]) for value in (0.05, 0.5)),
    *(("batch", str(size), [f"classify.batch={size}"]) for size in (50, 200)),
    *(("epochs (PPO)", str(epochs), [f"classify.epochs={epochs}"]) for epochs in (2, 5)),
    *(("random start, nats", str(sd), [f"learning.init_recurrent={sd}"]) for sd in (0.3, 1.0)),
    ("H–H links", "kept", ["network.removed=sa"]),
    ("learning rule", "published", ["learning.rule=published", "network.removed=none"]),
    ("learning rule", "published, S→A removed", ["learning.rule=published", "network.removed=sa"]),
    ("learning rule", "conditional, S→A removed", ["learning.rule=conditional", "network.removed=sa"]),
]
CLIP = 0.2
"""PPO's interval where a batch is gone through several times."""

ON_PENDULUM = frozenset(
    {
        ("weight bits", "12"),
        ("activity fraction bits", "6"),
        ("activity fraction bits", "10"),
        ("passes (free and clamped)", "2"),
        ("start", "uniform"),
        ("update", "rmsprop 2^-9"),
        ("update", "sgd 2^-1"),
        ("update", "sign 2^-10"),
    }
)
"""Variants that are trained on the pendulum as well; its rules are in the study of control tasks."""


def requantise(parameters: Parameters, config: DeviceConfig) -> Parameters:
    """The parameters clamped to the range of a configuration's weights."""
    limit = config.weight.high * config.weight.lsb / LOG2E
    return dataclasses.replace(
        parameters,
        weight=np.clip(parameters.weight, -limit, limit),
        bias=np.clip(parameters.bias, -limit, limit),
        device=config,
    )


def _variants(config: DeviceConfig) -> list[tuple[str, DeviceConfig]]:
    grid = [
        (f"{bits}/{frac}", config.replace(weight_bits=bits, weight_frac=bits - INTEGER_BITS, activity_frac=frac))
        for bits in WEIGHT_BITS
        for frac in ACTIVITY_FRAC
    ]
    passes = [(f"{n} passes", config.replace(iterations=n)) for n in (1, 2, 3, 8, 16)]
    return [*grid, *passes, ("uniform start", config.replace(start="uniform"))]


def mnist_inference_case(seed: int, batches: int) -> dict[str, Any]:
    """Train with the defaults, then test the same parameters in every format.

    Returns ``{variant: [accuracy, events, row words]}``, the latter per decision.
    """
    settings = settings_of("golden", [])
    data = load_mnist()
    agent = Agent(GoldenBackend(settings.network), settings.learning, seed)
    agent.load(initial_parameters(settings.network, settings.learning, seed))
    learner = OneStep(data, agent, settings.classify, None)
    for _ in range(batches):
        learner.advance()
    trained = agent.read()
    obs = observations(data.test_images).astype(np.float64)
    result = {}
    for name, config in _variants(_fitting(settings.network)):
        player = Agent(GoldenBackend(config), seed=seed)
        player.load(requantise(trained, config))
        decision = player.decide(obs, Purpose.PLAY, 0, "greedy")
        right = float((decision.action == data.test_labels).mean())
        result[name] = [right, *(float(decision.counters[key].mean()) for key in ("events", "row_words"))]
    return result


def pendulum_inference_case(seed: int, episodes: int | None) -> dict[str, Any]:
    """The same for a trained pendulum: ``{variant: [mean return of 10 greedy episodes, events, words]}``."""
    from host.training import extended, train

    task = get_task("inverted-pendulum")
    settings = task.defaults("golden", "ppo")
    config = extended(RunConfig(task.name, "golden", "ppo", seed, settings), episodes)
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / "run"
        train(config, str(path))
        trained = RunFolder(path).parameters()
    result = {}
    for name, network in _variants(_fitting(settings.network)):
        player = _Counting(network)
        agent = Agent(player, seed=seed)
        agent.load(requantise(trained, network))
        validation = Validation(Fleet(task, 10), seed + 1)
        result[name] = [float(validation.run(agent).mean()), player.mean("events"), player.mean("row_words")]
        validation.close()
    return result


def _fitting(config: DeviceConfig) -> DeviceConfig:
    """A configuration whose learning formats don't limit how few bits activity may have; inference ignores them."""
    return config.replace(acc_frac=8, moment_frac=16)


class _Counting(GoldenBackend):
    """Adds up the counters of all decisions."""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._sums = {"events": 0, "row_words": 0}
        self._decisions = 0

    def infer(self, *arguments: Any, **named: Any) -> Any:
        decision = super().infer(*arguments, **named)
        for key in self._sums:
            self._sums[key] += int(decision.counters[key].sum())
        self._decisions += len(decision.winners)
        return decision

    def mean(self, key: str) -> float:
        """Per decision."""
        return self._sums[key] / self._decisions


SEEDS = 1
"""Default number of seeds."""


def cases(seeds: int, quick: bool) -> list[Case]:
    """All runs."""
    batches = 100 if quick else 2000
    result = []
    for seed in range(1, seeds + 1):
        result.append(Case("inference|mnist", mnist_inference_case, {"seed": seed, "batches": batches}))
        result.append(
            Case("inference|pendulum", pendulum_inference_case, {"seed": seed, "episodes": 20 if quick else None})
        )
        for what, value, assignments in LEARNING:
            fitted = assignments
            if what == "activity fraction bits" and int(value) < 6:
                # The accumulator keeps no more fraction bits than an eligibility product has.
                fitted = [*assignments, f"network.acc_frac={2 * int(value) + 6}"]
            mnist = {
                "backend": "golden",
                "seed": seed,
                "marks": [batches],
                "assignments": _zero_start(fitted),
                "clip": CLIP if what == "epochs (PPO)" else None,
            }
            result.append(Case(f"mnist|{what}|{value}", train_mnist, mnist))
            if what == "defaults" or (what, value) in ON_PENDULUM:
                pendulum = {"task": "inverted-pendulum", "backend": "golden", "seed": seed, "assignments": fitted}
                episodes = 40 if quick else None
                result.append(Case(f"pendulum|{what}|{value}", train_control, {**pendulum, "episodes": episodes}))
    return result


def _zero_start(assignments: list[str]) -> list[str]:
    """The published and conditional rules start from zero, as in the paper."""
    other_rule = any(item.startswith("learning.rule=") for item in assignments)
    return [*assignments, "learning.init_recurrent=0", "learning.init_obs=0"] if other_rule else assignments


def run(out: Path, journal: Path, seeds: int, quick: bool, workers: int) -> str:
    """Run the study and write ``widths.md`` and ``widths.png`` into ``out``; returns the table of learning."""
    finished = run_cases(cases(seeds, quick), journal, workers)
    groups = grouped(finished)
    learning = _learning_table(groups)
    inference = "\n\n".join(
        f"**{title}**\n\n{_inference_tables(groups[f'inference|{task}'], form)}"
        for task, title, form in (("mnist", "MNIST", ".3f"), ("pendulum", "Pendulum", ".0f"))
    )
    _plot(groups["inference|mnist"], out / "widths.png")
    write_report(out / "widths.md", _text(learning, inference, seeds))
    return learning


def _learning_table(groups: dict[str, list[Finished]]) -> str:
    rows = []
    for what, value, _ in LEARNING:
        mnist = [item.result for item in groups[f"mnist|{what}|{value}"]]
        accuracy = [result["accuracy"][-1] for result in mnist]
        events = f"{np.mean([result['events'] for result in mnist]):.0f}"
        cells = [what, value, f"{np.mean(accuracy):.3f}", events]
        pendulum = [item.result for item in groups.get(f"pendulum|{what}|{value}", [])]
        if pendulum:
            held = sorted(result["episodes"] for result in pendulum if result["solved"])
            median = f"{np.median(held):.0f}" if held else "–"
            cells += [f"{len(held)} of {len(pendulum)}", median]
        else:
            cells += ["", ""]
        rows.append(cells)
    return markdown_table(["varied", "value", "MNIST", "events", "pendulum solved", "episodes"], rows)


def _means(items: list[Finished]) -> dict[str, np.ndarray]:
    return {name: np.mean([item.result[name] for item in items], axis=0) for name in items[0].result}


def _inference_tables(items: list[Finished], form: str) -> str:
    means = _means(items)
    grid = markdown_table(
        ["weight bits", *(f"q: {frac} bits" for frac in ACTIVITY_FRAC)],
        [[str(bits), *(f"{means[f'{bits}/{frac}'][0]:{form}}" for frac in ACTIVITY_FRAC)] for bits in WEIGHT_BITS]
        + [["events (16-bit weights)", *(f"{means[f'{WEIGHT_BITS[-1]}/{frac}'][1]:.0f}" for frac in ACTIVITY_FRAC)]],
    )
    rest = [name for name in means if "/" not in name]
    other = markdown_table(
        ["variant", "score", "events", "row words"],
        [[name, f"{means[name][0]:{form}}", f"{means[name][1]:.0f}", f"{means[name][2]:.0f}"] for name in rest],
    )
    return f"{grid}\n\n{other}"


def _plot(items: list[Finished], path: Path) -> None:
    from host.study.plots import figure

    means = _means(items)
    with figure(path) as axes:
        for bits in WEIGHT_BITS:
            points = np.array([means[f"{bits}/{frac}"][:2] for frac in ACTIVITY_FRAC])
            axes.plot(points[:, 1], points[:, 0], marker="o", ms=4, label=f"{bits}-bit weights")
        for frac in ACTIVITY_FRAC:
            score, events, _ = means[f"{WEIGHT_BITS[-1]}/{frac}"]
            axes.annotate(
                f"q {frac}", (events, score), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8
            )
        axes.set_xlabel("events per decision")
        axes.set_ylabel("test accuracy")
        axes.legend(fontsize=8)
        axes.set_title("MNIST inference: word widths against events")


def _text(learning: str, inference: str, seeds: int) -> str:
    return f"""# Word widths, passes, starts and update rules

Regenerate with `svpg study widths`; everything runs on the golden model. Seeds per row: {seeds}.

## Learning

MNIST with S→A and H–H removed (the pendulum does not need its hidden layer, so MNIST judges), 20x10 hidden, contrastive
rule unless said, 2,000 batches of 100, greedy accuracy on the 1,000 test images (standard error .009). Pendulum:
default settings, solved as in [control.md](control.md).

{learning}

## Inference

Nets trained with the defaults, their parameters rounded to other formats afterwards (no further training). Weights keep
{INTEGER_BITS} bits left of the point. MNIST: accuracy; pendulum: mean return of 10 greedy episodes.

{inference}

![accuracy against events](widths.png)

What follows for the defaults: [defaults.md](defaults.md).
"""
