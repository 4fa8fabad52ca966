"""The spikes of one decision as a picture, with potentials and traces of one group below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.files import write_atomically
from golden.parameters import to_octaves
from golden.raster import Course, device_course, float_course, in_nats
from host.agent import Agent
from host.backends.registry import get_entry
from host.seeds import Purpose, nonces

FORMATS = (".png", ".svg", ".pdf")

HIDDEN, ACTION, BAND, ACTION_BAND, LINE = "#243b53", "#d94801", "#eef2f7", "#fdeedd", "#8a94a0"
COLOURS = ("#08519c", "#238b45", "#6a51a3", "#c51b8a", "#636363", "#1c9099", "#b8860b", "#7a0177", "#8c510a", "#66a61e")
STROKES = 140.0
"""Width of all strokes of a row together, in points."""

LABELLED_GROUPS = 12
"""Groups whose name fits beside the picture; of more, every fifth has one."""


@dataclass(frozen=True)
class Decided:
    """One decision in spike mode.

    Parameters
    ----------
    config: of the device.
    course: shares and nats.
    action: that was chosen.
    prob: float64 (A,), the policy.
    """

    config: DeviceConfig
    course: Course
    action: int
    prob: NDArray[np.float64]


def check_raster(config: DeviceConfig, path: Path, group: int | None) -> None:
    """Refuse what cannot be drawn.

    Raises
    ------
    SvpgError: rate mode, an unknown kind of file, or a group that does not exist.
    """
    if not config.spikes:
        raise SvpgError("--raster draws spikes, and rate mode has none; add --mode spike")
    if path.suffix not in FORMATS:
        raise SvpgError(f"{path}: pictures of spikes end in {', '.join(FORMATS)}; choose one")
    if group is not None and not 0 <= group <= config.groups:
        raise SvpgError(f"--raster-group {group} does not exist; give 0 to {config.groups}, the last for the actions")


def decide(agent: Agent, obs: NDArray[np.float64], policy: str) -> Decided:
    """The first decision that is played, (S,), once more: a decision depends on nothing but its arguments."""
    config = agent.config
    decision = agent.decide(obs[None], Purpose.PLAY, 0, policy, spikes=True)
    assert decision.spikes is not None
    nonce, spikes = nonces(agent.seed, Purpose.PLAY, 0, 1)[0], decision.spikes[0]
    seen, parameters = agent.prepare(obs[None])[0], agent.backend.read()
    if get_entry(agent.backend.name).exact:
        weight, bias = to_octaves(config, parameters)
        course = in_nats(config, device_course(config, weight, bias, config.obs.quantise(seen), nonce, spikes))
    else:
        course = float_course(config, parameters, seen, nonce, spikes)
    return Decided(config, course, int(decision.action[0]), decision.action_prob[0])


def save_raster(decided: Decided, title: str, path: Path, group: int | None = None) -> None:
    """Draw a decision into a file of one of :data:`FORMATS`.

    Parameters
    ----------
    title: above the picture.
    group: whose potentials and traces are drawn; the action group by default.

    Raises
    ------
    SvpgError: cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    # Without stamps of version and date equal decisions give equal files.
    stamps = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with matplotlib.rc_context({"svg.hashsalt": "svpg"}):
        figure = raster_figure(decided, title, group)
        write_atomically(path, lambda stream: figure.savefig(stream, format=kind, metadata=stamps))


def raster_figure(decided: Decided, title: str, group: int | None = None) -> Figure:
    """Spikes of all neurons over the time steps; below them potentials and traces of one group."""
    config = decided.config
    group = config.groups if group is None else group
    height = float(np.clip(0.055 * config.neurons, 2.6, 7.0))
    figure = Figure(figsize=(9.0, height + 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    raster, potential, trace = figure.subplots(3, 1, sharex=True, height_ratios=[height, 2.0, 1.3])
    for axes in (raster, potential, trace):
        axes.spines[["top", "right"]].set_visible(False)
        # The last steps, over which the policy is the mean.
        axes.axvline(config.steps - config.window - 0.5, color=LINE, linewidth=0.9, linestyle=":")
    _draw_spikes(raster, decided)
    chosen = f"action {decided.action} chosen, π = {decided.prob[decided.action]:.2f}"
    raster.set_title(title, loc="left", fontweight="bold")
    raster.set_title(chosen, loc="right", color=ACTION, fontsize=10)
    _draw_group(potential, trace, decided, group)
    return figure


def _group_name(config: DeviceConfig, group: int) -> str:
    return "actions" if group == config.groups else f"group {group}"


def _draw_spikes(axes: Axes, decided: Decided) -> None:
    config, spikes = decided.config, decided.course.spikes
    steps = np.arange(config.steps)
    stroke = float(np.clip(STROKES / config.steps, 0.8, 6.0))
    for group in range(config.groups + 1):
        first, last = config.group_start[group] - 0.5, config.group_start[group + 1] - 0.5
        acts = group == config.groups
        if acts or group % 2 == 0:
            axes.axhspan(first, last, color=ACTION_BAND if acts else BAND, linewidth=0, zorder=0)
        neuron = config.group_start[group] + spikes[:, group]
        colour = ACTION if acts else HIDDEN
        axes.vlines(steps, neuron - 0.42, neuron + 0.42, color=colour, linewidth=stroke, zorder=3)
    chosen = config.hidden + decided.action
    axes.annotate(
        f" action {decided.action}",
        (1.0, chosen),
        xycoords=("axes fraction", "data"),
        va="center",
        color=ACTION,
        fontsize=8,
        fontweight="bold",
        annotation_clip=False,
    )
    axes.axhline(chosen, color=ACTION, linewidth=0.6, alpha=0.6, zorder=2)
    middle = (config.group_start[:-1] + config.group_start[1:] - 1) / 2
    every = 1 if config.groups <= LABELLED_GROUPS else 5
    named = [group for group in range(config.groups) if group % every == 0] + [config.groups]
    axes.set_yticks(middle[named], [_group_name(config, group) for group in named], fontsize=8)
    axes.get_yticklabels()[-1].set_color(ACTION)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(config.neurons - 0.5, -0.5)
    axes.set_xlim(-0.7, config.steps - 0.3)
    axes.set_ylabel("spikes")


def _draw_group(potential: Axes, trace: Axes, decided: Decided, group: int) -> None:
    config, course = decided.config, decided.course
    first, last = config.group_start[group : group + 2]
    steps, name = np.arange(config.steps), _group_name(config, group)
    acts = group == config.groups
    for index, neuron in enumerate(range(first, last)):
        chosen = acts and index == decided.action
        # The chosen action keeps the colour it has above.
        colour = ACTION if chosen else COLOURS[index % len(COLOURS)]
        style: dict[str, Any] = {"color": colour, "linewidth": 2.2 if chosen else 1.2, "zorder": 4 if chosen else 3}
        label = f"{'action' if acts else 'neuron'} {index}"
        potential.plot(steps, course.potential[:, neuron], label=label, **style)
        trace.plot(steps, course.trace[:, neuron], drawstyle="steps-mid", **style)
    potential.set_ylabel(f"potentials of\n{name}, nats")
    trace.set_ylabel(f"traces,\nlast {config.window} steps")
    trace.set_ylim(-0.04, 1.04)
    trace.set_xlabel(f"time step; the policy is the mean from the dotted line on ({config.window} steps)")
    for axes in (potential, trace):
        axes.grid(alpha=0.25)
    if last - first <= 2 * len(COLOURS):
        potential.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), borderaxespad=0.2)
