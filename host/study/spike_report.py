"""Tables, pictures and text of ``svpg study spikes``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from host.study.plots import figure
from host.study.runner import Finished, markdown_table, write_report
from host.study.spike_estimates import BATCH
from host.study.spike_inference import EPISODES, RATE, VISITED

Groups = Mapping[str, list[Finished]]

SOLVED = 195
"""Mean return that counts as solved."""


def write(out: Path, groups: Groups) -> str:
    """Write ``spikes.md`` and its pictures into ``out``; returns the table of training."""
    pendulum = _pendulum_table(groups)
    mnist = _mnist_table(groups)
    _plot_pendulum(groups, out / "spikes.png")
    _plot_mnist(groups, out / "spikes-mnist.png")
    _plot_grid(groups, out / "spikes-steps.png")
    write_report(out / "spikes.md", _text(groups, pendulum, mnist))
    return f"{pendulum}\n\n{mnist}"


def _part(groups: Groups, kind: str) -> dict[str, list[dict[str, Any]]]:
    """Results by the rest of their name, of all cases whose name begins with ``kind``."""
    return {
        name.partition("|")[2]: [item.result for item in items]
        for name, items in groups.items()
        if name.startswith(f"{kind}|")
    }


def _mean(results: list[dict[str, Any]], variant: str) -> float:
    return float(np.mean([result[variant] for result in results]))


# --- played in spike mode --------------------------------------------------------------------------
def _points(results: list[dict[str, Any]], obs: str) -> dict[tuple[int, int], float]:
    """Mean score by (T, R)."""
    points = {}
    for name in results[0]:
        if name.endswith(f"/{obs}"):
            steps, window, _ = name.split("/")
            points[int(steps), int(window)] = _mean(results, name)
    return points


def _grid_table(results: list[dict[str, Any]], obs: str, form: str) -> str:
    points = _points(results, obs)
    windows = sorted({window for _, window in points})
    rows = [
        [str(steps), *(f"{points[steps, r]:{form}}" if (steps, r) in points else "" for r in windows)]
        for steps in sorted({steps for steps, _ in points})
    ]
    return markdown_table(["steps T", *(f"window {r}" for r in windows)], rows)


def _grids(groups: Groups, task: str, form: str) -> str:
    results = _part(groups, "play")[task]
    tables = "\n\n".join(f"{title}:\n\n{_grid_table(results, obs, form)}" for obs, title in OBSERVED.items())
    return f"Rate mode: {_mean(results, RATE):{form}}. Nets: {len(results)}.\n\n{tables}"


OBSERVED = {"analog": "Analog observations", "bernoulli": "Bernoulli observations"}


def _plot_grid(groups: Groups, path: Path) -> None:
    results = _part(groups, "play")["mnist"]
    with figure(path, width=10.0) as axes:
        for obs, line in (("analog", "-"), ("bernoulli", "--")):
            points = _points(results, obs)
            for number, window in enumerate(sorted({window for _, window in points})):
                steps = sorted(steps for steps, r in points if r == window)
                label = f"window {window}" if obs == "analog" else None
                scores = [points[t, window] for t in steps]
                axes.plot(steps, scores, line, marker="o", ms=4, color=f"C{number}", label=label)
        rate = _mean(results, RATE)
        axes.axhline(rate, color="black", lw=1, label="rate mode")
        axes.axhline(rate - 0.02, color="black", lw=1, ls=":", label="two points less")
        axes.set_xscale("log", base=2)
        ticks = sorted({steps for steps, _ in _points(results, "analog")})
        axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        axes.set_xlabel("time steps of a decision")
        axes.set_ylabel("test accuracy")
        axes.set_title("MNIST, trained in rate mode, played in spike mode: analog (solid), Bernoulli (dashed)")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


# --- training --------------------------------------------------------------------------------------
def _pendulum_table(groups: Groups) -> str:
    rows = []
    for name, results in _part(groups, "pendulum").items():
        held = sorted(result["episodes"] for result in results if result["solved"])
        best = [max((mean for _, mean in result["validation"]), default=float("nan")) for result in results]
        rows.append(
            [
                name,
                f"{len(held)} of {len(results)}",
                f"{np.median(held):.0f} ({held[0]}–{held[-1]})" if held else "–",
                f"{min(best):.0f}",
                f"{np.median([result['seconds'] for result in results]):.0f}",
                f"{np.mean([result['played'] for result in results]):.0f}"
                f" (≥ {min(result['played'] for result in results):.0f})",
            ]
        )
    return markdown_table(
        ["rule", "solved", "episodes till held", "worst seed's best validation", "seconds", "20 fresh episodes"], rows
    )


def _plot_pendulum(groups: Groups, path: Path) -> None:
    with figure(path) as axes:
        for number, (name, results) in enumerate(_part(groups, "pendulum").items()):
            longest = max((result["validation"] for result in results), key=len)
            episodes = [episode for episode, _ in longest]
            curves = []
            for result in results:
                means = [mean for _, mean in result["validation"]]
                axes.plot(episodes[: len(means)], means, color=f"C{number}", lw=0.7, alpha=0.4)
                # A run that was solved stopped there; its last value stands for what would follow.
                curves.append(means + means[-1:] * (len(longest) - len(means)))
            label = f"{name}, {len(results)} seeds" if len(results) > 1 else name
            axes.plot(episodes, np.mean(curves, axis=0), color=f"C{number}", lw=2, label=label)
        axes.axhline(SOLVED, color="grey", lw=1, ls=":")
        axes.set_xlabel("training episodes")
        axes.set_ylabel("greedy return: mean (thick), single seeds (thin)")
        axes.set_title("Pendulum, trained in spike mode from scratch")
        axes.legend(fontsize=8)


def _mnist_table(groups: Groups) -> str:
    parts = _part(groups, "mnist")
    longest = max((results[0]["accuracy"] for results in parts.values()), key=len)
    rows = []
    for name, results in parts.items():
        variant, backend = name.split("|")
        accuracy = np.mean([result["accuracy"] for result in results], axis=0)
        zeroed = [result.get("zeroed") for result in results]
        rows.append(
            [
                variant,
                backend,
                str(len(results)),
                *(f"{value:.3f}" for value in accuracy),
                *[""] * (len(longest) - len(accuracy)),
                "" if None in zeroed else f"{np.mean(np.array(zeroed, dtype=float)):.3f}",
            ]
        )
    marks = _marks(groups)
    return markdown_table(["rule", "arithmetic", "seeds", *(f"{mark} batches" for mark in marks), "zeroed S→H"], rows)


def _marks(groups: Groups) -> list[int]:
    every: list[list[int]] = [
        items[0].case.arguments["marks"] for name, items in groups.items() if name.startswith("mnist|")
    ]
    return max(every, key=len)


def _plot_mnist(groups: Groups, path: Path) -> None:
    marks = _marks(groups)
    with figure(path, width=11.0) as axes:
        for number, (name, results) in enumerate(_part(groups, "mnist").items()):
            variant, backend = name.split("|")
            accuracy = np.mean([result["accuracy"] for result in results], axis=0)
            line = "--" if backend == "float" else "-"
            label = variant if backend == "golden" else f"{variant}, floating point"
            axes.plot(marks[: len(accuracy)], 1 - accuracy, line, marker="o", ms=4, color=f"C{number}", label=label)
        axes.set_xlabel("batches of 100 images")
        axes.set_ylabel("test error")
        axes.set_yscale("log")
        ticks = [0.07, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8]
        axes.set_yticks(ticks, labels=[f"{tick:.2f}" for tick in ticks], minor=False)
        axes.minorticks_off()
        axes.set_title("MNIST from reward, S→A and H–H removed, trained in spike mode")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


# --- estimates and costs ---------------------------------------------------------------------------
def unlimited(one: float, mean: float, repeats: int) -> float:
    """Cosine of infinitely many updates' mean, from that of one and of the mean of some.

    Independent noise of size v, relative to the expected update, brings its cosine c down to c / sqrt(1 + v), and to
    c / sqrt(1 + v / repeats) in the mean.
    """
    if repeats == 1 or min(one, mean) <= 0:
        return mean
    square = (repeats / mean**2 - 1 / one**2) / (repeats - 1)
    return 1.0 if square <= 1 else square**-0.5


def _estimate_table(groups: Groups) -> str:
    parts = _part(groups, "estimate")
    repeats = groups["estimate|mnist"][0].case.arguments["repeats"]
    nets = {"mnist": "MNIST", **{name: f"small, {name}" for name in parts if name != "mnist"}}
    names = max((list(results[0]) for results in parts.values()), key=len)
    rows = []
    for name in names:
        cells = [name]
        for net in nets:
            results = parts[net]
            if name not in results[0]:
                cells += ["", ""]
                continue
            for block in ("obs", "recurrent"):
                one, mean = (
                    float(np.mean([result[name][key] for result in results])) for key in (block, f"{block}_mean")
                )
                cells.append(f"{one:.2f} / {unlimited(one, mean, 1 if name == RATE else repeats):.2f}")
        rows.append(cells)
    header = [part for title in nets.values() for part in (f"{title}: S→H", "recurrent")]
    return markdown_table(["T/R/clamp", *header], rows)


def _cost_table(groups: Groups, task: str) -> str:
    (result,) = _part(groups, "cost")[task]
    rows = []
    for name, cost in result.items():
        multiplications = cost["additions"] if name == RATE else 0
        rows.append(
            [
                name,
                *(f"{cost[key]:,.0f}" for key in ("events", "row_words", "additions")),
                f"{multiplications:,.0f}",
                *(f"{cost[key]:,.0f}" for key in ("terms", "products")),
            ]
        )
    header = ["mode", "events", "row words", "additions", "multiplications", "softmax terms", "softmax products"]
    return markdown_table(header, rows)


def _text(groups: Groups, pendulum: str, mnist: str) -> str:
    return f"""# Spikes

Regenerate with `svpg study spikes`. Spike mode has T time steps per decision and a window of R steps
([numerics.md](../numerics.md), "Spikes"); T/R below. Everything runs on the golden model unless said. The rules are
derived in [learning.md](../learning.md), "Spikes".

## Trained in rate mode, played in spike mode

The same weights, no further training. **Pendulum**, default settings but for the connections, mean return of {EPISODES}
greedy episodes (at most 200).

H–H removed. {_grids(groups, "pendulum, H–H removed", ".0f")}

All connections. {_grids(groups, "pendulum", ".0f")}

**MNIST**, contrastive, S→A and H–H removed, 20x10 hidden, greedy accuracy on the 1,000 test images (standard error
.009). {_grids(groups, "mnist", ".3f")}

![accuracy over steps](spikes-steps.png)

## Trained in spike mode from scratch

**Pendulum**, all connections unless said, T/R 16/8, analog observations, PPO with the plain modulator, entropy 0.3,
rate 2^-9. *Solved* as in [control.md](control.md): the mean of 10 greedy validation episodes, in spike mode, is at
least {SOLVED} of 200 in three validations in a row, 20 episodes apart; of at most 1,200 episodes. Seconds are processor
time of one core. The last column plays the best parameters greedily from fresh starts: mean over the seeds (and the
worst seed).

{pendulum}

![greedy return over episodes](spikes.png)

**MNIST**, S→A and H–H removed, 20x10 hidden, reward ±1, one update per batch of 100; greedy accuracy on the test
images, in the mode of training. *Zeroed S→H*: observation→hidden weights set to zero after training.

{mnist}

![accuracy over batches](spikes-mnist.png)

## What clamping estimates

Cosine between the update of a batch of {BATCH} samples and the exact policy gradient of the same samples, actions and
centred rewards: of one update (bias and noise) / of infinitely many with other spikes (bias alone), extrapolated from
one and the mean of 20. *MNIST*: a net that has learnt for 200 batches, without H–H links, its exact gradient in closed
form. *Small*: random nets of 4 groups of 4 with H–H links, weights of the given standard deviation in nats, exact by
enumeration. Clamped phases: `common` goes on from the free phase with the random numbers of its last window (what
devices do), `fresh` with new ones; `stepwise` counts coincidences of two spikes in one step in place of products of
traces; `replayed` starts where the free phase's last window started; `long` takes two windows. Without H–H links the
last two equal `common`.

{_estimate_table(groups)}

## What a decision costs

Mean over {VISITED:,} observations met by nets trained in rate mode, greedy decisions. *Additions*: synapses that
events reach; in rate mode each multiplies as well, in spike mode every event is ± a power of two. An analog observation
enters once per decision, in spike mode as several such events (the digits of its signed binary form); on MNIST that is
most of the additions. A weight word is read once per row word. *Softmax terms* are 2^d, a table and a shift each;
*softmax products* normalise activities (rate mode) or draw winners and average the action's probabilities (spike mode).

**Pendulum**, H–H removed (69 synapses per row word):

{_cost_table(groups, "inverted-pendulum")}

**MNIST 20x10** (64 synapses per row word):

{_cost_table(groups, "mnist")}
"""
