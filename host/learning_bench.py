"""What learning costs in hardware: rows of ``svpg bench``."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from golden.arguments import RULES, Apply
from golden.client import FrameDevice
from golden.device import Device
from golden.errors import SvpgError
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    Command,
    command_fields,
    frame_words,
    response_fields,
)
from hdl.options import CoreOptions
from host.hardware_bench import DECISIONS, Net, Row, loaded, trained_net
from sim.device import core_library
from sim.lesson import COUNTED
from sim.model import VerilatedModel

NAMES = ("pendulum/learning", "mnist-20x10/learning")

T = TypeVar("T")

UPDATE = Apply("rmsprop", mean_shift=7, rate=9, obs_rate=9)
"""A usual update."""

LARGEST_MODULATOR = 200
"""Modulators are drawn from −this to this."""


def measure(name: str, row: Row, quick: bool, net: Net | None = None) -> None:
    """Measure one of :data:`NAMES` and hand its rows to ``row``.

    Every rule learns the same observations, winners and modulators, on the RTL and on golden, which have to agree.

    Parameters
    ----------
    net: instead of the trained one.
    """
    net = net or trained_net(name.split("/")[0])
    config, options = net.config, CoreOptions.usual(net.config).learning()
    rng = np.random.default_rng(0)
    obs = net.obs[: 100 if quick else DECISIONS]
    model = VerilatedModel(core_library(config, options))
    device, golden = loaded(net, FrameDevice(config, model)), loaded(net, Device(config))
    decided, taken, spent = _timed(model, lambda: device.infer(obs, np.arange(len(obs), dtype=np.uint64)))
    modulator = rng.integers(-LARGEST_MODULATOR, LARGEST_MODULATOR, len(obs), endpoint=True)
    modulator[modulator == 0] = 1
    row(f"{name}/multipliers", options.multipliers(config), "")
    row(f"{name}/simulated-infer", taken / spent / 1e3, "kcycles/s")
    for rule in RULES:
        device.clear_learning()
        golden.clear_learning()
        # Without a modulator a sample costs its phases alone.
        phases = device.learn(obs, decided.winners, np.zeros_like(modulator), rule)
        found, taken, spent = _timed(model, functools.partial(device.learn, obs, decided.winners, modulator, rule))
        expected = golden.learn(obs, decided.winners, modulator, rule)
        if (
            phases is None
            or found is None
            or any(not np.array_equal(getattr(found, counter), getattr(expected, counter)) for counter in COUNTED)
        ):
            raise SvpgError(f"{name}: golden and the RTL differ; run svpg lockstep --learn to see where")
        ideal = phases.cycles + found.learn_words + config.row_words
        row(f"{name}/{rule}/cycles", found.cycles.mean(), "cycles")
        row(f"{name}/{rule}/phases", phases.cycles.mean(), "cycles")
        row(f"{name}/{rule}/touched-words", found.learn_words.mean() + config.row_words, "words")
        row(f"{name}/{rule}/over-phases-and-words", found.cycles.mean() / ideal.mean(), "x")
        row(f"{name}/{rule}/over-phases-and-words-most", float((found.cycles / ideal).max()), "x")
        row(f"{name}/{rule}/simulated", taken / spent / 1e3, "kcycles/s")
        row(f"{name}/{rule}/samples", len(obs) / spent, "1/s")
    words = (config.sources + 1) * config.row_words
    cycles = device.apply(UPDATE)
    row(f"{name}/update/cycles", cycles, "cycles")
    row(f"{name}/update/row-words", words, "words")
    row(f"{name}/update/over-row-words", cycles / words, "x")
    frames = {
        "decision": (Command.INFER, 0),
        "decision-with-activity": (Command.INFER, FLAG_ACTIVITY),
        "sample": (Command.LEARN, RULES["contrastive"]),
        "sample-given-winners": (Command.LEARN, RULES["published"]),
        "sample-with-counters": (Command.LEARN, RULES["contrastive"] | FLAG_COUNTERS),
        "update": (Command.APPLY, 0),
    }
    for what, (command, flags) in frames.items():
        row(f"{name}/words-down/{what}", frame_words(command_fields(config, command, flags)), "words")
        row(f"{name}/words-up/{what}", frame_words(response_fields(config, command, flags)), "words")


def _timed(model: VerilatedModel, call: Callable[[], T]) -> tuple[T, int, float]:
    """A result, and the cycles and seconds it took."""
    before, began = model.cycles, time.perf_counter()
    result = call()
    return result, model.cycles - before, time.perf_counter() - began
