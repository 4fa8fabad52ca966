"""Speed, measured: ``svpg bench``."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.start import random_start
from host.backend import Backend, Update
from host.backends.registry import make_backend
from host.hardware_bench import NAMES as HARDWARE
from host.hardware_bench import SPIKES, authors_us
from host.hardware_bench import measure as measure_hardware
from host.hardware_bench import mode_of as hardware_mode
from host.learning_bench import NAMES as LEARNING
from host.learning_bench import measure as measure_learning
from host.link_bench import NAMES as LINK
from host.link_bench import measure as measure_link
from host.tasks import get_task
from host.training_bench import NAMES as TRAINING
from host.training_bench import measure as measure_training

NETS = {
    "pendulum": DeviceConfig(inputs=4, groups=8, group_size=8, actions=5),
    "mnist-20x10": DeviceConfig(inputs=784, groups=20, group_size=10, actions=10, removed="hhsa"),
}
NETS |= {f"{net}-spike": config.replace(**SPIKES) for net, config in NETS.items()}
# As many steps as the authors take; their window of 40 is no power of two.
NETS["pendulum-spike-42"] = NETS["pendulum-spike"].replace(steps=42, window=32)
NETS["doom"] = get_task("doom-health-gathering").defaults("golden", "ppo").network

DENSITY = {"pendulum": 1.0, "mnist": 0.19, "doom": 1.0}
"""Share of observations that are not zero (MNIST's own figure)."""

BACKENDS = ("float", "golden")
WHAT = ("infer-1", "infer-256", "learn-256", "apply")

Measurement = dict[str, Any]

MEASURES = {
    name: measure
    for known, measure in (
        (HARDWARE, measure_hardware),
        (LEARNING, measure_learning),
        (LINK, measure_link),
        (TRAINING, measure_training),
    )
    for name in known
}
"""What measures the benchmarks of hardware and of training."""


def names(mode: str | None = None) -> list[str]:
    """All benchmarks, as ``net/what``, or those of one inference mode."""
    # An update is the same in either mode.
    software = [f"{net}/{what}" for net in NETS for what in WHAT if what != "apply" or not NETS[net].spikes]
    return [name for name in (*software, *MEASURES) if mode in (None, mode_of(name))]


def mode_of(name: str) -> str:
    """Inference mode of a benchmark."""
    net = name.split("/")[0]
    return NETS[net].mode if net in NETS else hardware_mode(name)


def run_benchmarks(selection: Sequence[str] = (), quick: bool = False, mode: str | None = None) -> list[Measurement]:
    """Measure the selected benchmarks, all by default, or all of one inference mode; medians.

    Software backends take turns on random nets, so no trained net's sparsity flatters the figures: time per call or
    rate per backend, then the ratios. Hardware decides with trained nets (:mod:`host.hardware_bench`). Returns rows
    ``{name, value, unit}``.

    Raises
    ------
    SvpgError: unknown name, or one of the other mode.
    """
    known = names(mode)
    for name in selection:
        if name not in known:
            kind = "" if mode is None else f" in {mode} mode"
            raise SvpgError(f"unknown benchmark {name!r}{kind}; choose from {', '.join(known)}")
    rows: list[Measurement] = []
    for name in selection or known:
        if name in MEASURES:
            MEASURES[name](name, lambda *measured: rows.append(_row(*measured)), quick)
            continue
        net, what = name.split("/")
        calls = {backend: _call(make_backend(backend, NETS[net]), net, what) for backend in BACKENDS}
        seconds = _medians(calls, 5 if quick else 15, 0.02 if quick else 0.1)
        batch = 256 if what.endswith("256") else 1
        for backend in BACKENDS:
            if batch == 1:
                rows.append(_row(f"{name}/{backend}", seconds[backend] * 1e6, "us"))
            else:
                rows.append(_row(f"{name}/{backend}", batch / seconds[backend], "1/s"))
        rows.append(_row(f"{name}/golden-over-float", seconds["float"] / seconds["golden"], "x"))
        if what == "infer-1" and net.startswith("pendulum"):
            rows.append(_row(f"{name}/golden-over-authors", authors_us(NETS[net]) * 1e-6 / seconds["golden"], "x"))
    return rows


def _row(name: str, value: float, unit: str) -> Measurement:
    return {"name": name, "value": float(f"{value:.4g}"), "unit": unit}


def _call(backend: Backend, net: str, what: str) -> Callable[[], object]:
    """The operation to time, on a device that is loaded and warm."""
    import torch

    torch.set_num_threads(1)
    config = backend.config
    backend.load(random_start(config, seed=1, recurrent=0.5, observation=0.1))
    rng = np.random.default_rng(0)
    batch = 1 if what == "infer-1" else 256
    shape, density = (batch, config.inputs), DENSITY[net.split("-")[0]]
    # In turns: golden knows what it computed from the batch before.
    first, second = (rng.random(shape) * (rng.random(shape) < density) for _ in range(2))
    turns = itertools.cycle((first, second))
    counter: Iterator[int] = itertools.count()

    def nonces() -> np.ndarray:
        start = next(counter) * batch
        return np.arange(start, start + batch, dtype=np.uint64)

    if what.startswith("infer"):
        return lambda: backend.infer(next(turns), nonces(), "sample")
    decided = nonces()
    winners = backend.infer(first, decided, "sample").winners
    modulator = rng.normal(size=batch)
    backend.learn(first, winners, modulator, "contrastive", decided)
    if what == "apply":
        return lambda: backend.apply(Update("rmsprop", 2.0**-10, 2.0**-10, batch))
    return lambda: backend.learn(first, winners, modulator, "contrastive", decided)


def _medians(calls: dict[str, Callable[[], object]], rounds: int, budget: float) -> dict[str, float]:
    """Median seconds per call over rounds that take turns; a round repeats a call for about ``budget`` seconds."""
    repeats = {}
    for name, call in calls.items():
        call()
        began = time.perf_counter()
        call()
        repeats[name] = max(1, int(budget / (time.perf_counter() - began)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            samples[name].append((time.perf_counter() - began) / repeats[name])
    return {name: statistics.median(values) for name, values in samples.items()}
