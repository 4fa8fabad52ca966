"""Pictures of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from golden.files import write_atomically
from host.settings import Training
from host.tasks import Task

Array = NDArray[np.float64]

RAW, SMOOTH, POINT, LINE = "#9ecae1", "#08519c", "#d94801", "#636363"


def smoothed(values: Array, width: int) -> Array:
    """Mean over a centred window of at most ``width`` entries, shortened at both ends; shape (T,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(values.size)
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, values.size)
    return (total[last] - total[first]) / (last - first)


def learning_curve(metrics: Mapping[str, Array], task: Task, training: Training) -> Figure:
    """Return (or accuracy) against episodes (or batches): each, smoothed, validations and the threshold.

    Where validation goes by a score, that has an axis of its own.
    """
    control = task.environment is not None
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    episode, total, validation = metrics["episode"], metrics["return"], metrics["validation"]
    axes.plot(episode, total, color=RAW, linewidth=0.7, label="training, sampled actions")
    if total.size > 10:
        width = max(5, total.size // 30)
        axes.plot(episode, smoothed(total, width), color=SMOOTH, linewidth=1.8, label=f"its mean over {width}")
    done = ~np.isnan(validation)
    validated = f"validation, {task.policy}, mean of {training.validation_episodes}"
    label = validated if control else "validation images, greedy"
    judged = axes.twinx() if task.score else axes
    judged.plot(
        episode[done], validation[done], color=POINT, marker="o", markersize=3.5, linewidth=0.9, label=label, zorder=3
    )
    if training.hold:
        label = f"solved: {training.threshold:g}"
        judged.axhline(training.threshold, color=LINE, linestyle="--", linewidth=1, label=label)
    axes.set_xlabel("episode" if control else "batch")
    axes.set_ylabel("return" if control else "accuracy")
    axes.set_title(task.name, loc="left", fontweight="bold")
    if total.size:
        axes.set_xlim(0, max(1.0, float(episode[-1])))
    # A few bad episodes would press all others together.
    axes.set_ylim(bottom=min(0.0, float(np.percentile(total, 5))) if total.size else 0.0)
    axes.margins(y=0.08)
    axes.grid(alpha=0.25)
    if task.score:
        judged.set_ylim(0, 1.05)
        judged.set_ylabel(task.score)
    for one in figure.axes:
        one.spines[["top", "right"]].set_visible(False)
    # Below the threshold line, where early training leaves room.
    place = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.92)} if control else {"loc": "lower right"}
    handles = [line for one in figure.axes for line in one.get_lines()]
    figure.axes[-1].legend(handles=handles, edgecolor="none", framealpha=0.85, fontsize=8, **place)
    return figure


def save_curve(metrics: Mapping[str, Array], task: Task, training: Training, path: str | os.PathLike[str]) -> None:
    """Write the learning curve as a PNG.

    Raises
    ------
    SvpgError: cannot be written.
    """
    figure = learning_curve(metrics, task, training)
    # Without the version stamp equal runs give equal files.
    write_atomically(path, lambda stream: figure.savefig(stream, format="png", metadata={"Software": None}))
