"""What a decision costs in hardware, and how fast it is simulated: rows of ``svpg bench``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.parameters import Parameters, to_octaves
from golden.protocol import Command, Words, command_fields, header, pack
from hdl.options import CoreOptions
from host.backends.registry import get_entry
from host.classify import load_split
from host.datasets import observations
from host.run import RunFolder
from host.settings import RunConfig
from host.tasks import Task, default_algorithm, get_task
from host.training import train
from sim.build import CACHE
from sim.cost import bound
from sim.device import core_library, core_pool
from sim.model import VerilatedModel
from sim.pool import Pool
from sim.speed import amaranth_rate, cocotb_rate

AUTHORS_FORWARD_US = 690.0
"""Pendulum forward of the authors' PyTorch code at batch 1, one thread (docs/results/speed.md)."""

AUTHORS_SPIKES_US = 16_600.0
"""The same in spike mode: 42 steps, window 40."""

MULTIPLIERS = 72
"""Multipliers that the builds may use."""

DECISIONS = 2000
"""Decisions that a mean is over; MNIST's test split has 1,000."""

RUNS = CACHE.parent / "bench"
"""Where the trained nets are kept."""

Row = Callable[[str, float, str], None]
D = TypeVar("D", Device, FrameDevice, Pool)


@dataclass(frozen=True)
class Net:
    """A trained net and what it looks at.

    Parameters
    ----------
    config: its device.
    parameters: trained by golden.
    obs: raw observations (n, S).
    """

    config: DeviceConfig
    parameters: Parameters
    obs: NDArray[np.int64]


TRAINED = {
    "pendulum": ("inverted-pendulum", 1200, ()),
    "mnist-20x10": ("mnist", 300, ()),
    "mnist-50x10": ("mnist", 300, ("network.groups=50",)),
}
"""Task, most episodes (or batches) and settings of the nets."""

SPIKES: dict[str, int | str] = {"mode": "spike", "steps": 32, "window": 16}

SPIKING = {f"{net}-spike": net for net in ("pendulum", "mnist-20x10")}
"""Nets of :data:`TRAINED` that decide in spike mode, with :data:`SPIKES`."""

NAMES = (
    *(f"{net}/rtl" for net in TRAINED),
    *(f"{net}/rtl" for net in SPIKING if "spike" in get_entry("rtl").modes),
    "pendulum/simulators",
)


def mode_of(name: str) -> str:
    """Inference mode of one of :data:`NAMES`."""
    return "spike" if name.split("/")[0] in SPIKING else "rate"


def trained_run(name: str) -> Path:
    """Run folder of the net ``name`` of :data:`TRAINED`: trained with golden in rate mode, seed 0, at its first use.

    The pendulum trains for a minute, a net for MNIST for less.
    """
    task_name, episodes, assignments = TRAINED[name]
    task = get_task(task_name)
    algorithm = default_algorithm(task)
    settings = task.defaults("golden", algorithm).override([*assignments, f"training.episodes={episodes}"])
    config = RunConfig(task_name, "golden", algorithm, 0, settings)
    path = RUNS / f"{name}-{settings.network.digest:08x}"
    if not (path / "curve.png").is_file():
        train(config, path, resume=path.is_dir())
    return path


def trained_net(name: str) -> Net:
    """The net ``name`` of :data:`TRAINED` or :data:`SPIKING`, and what it looks at."""
    changes, name = (SPIKES, SPIKING[name]) if name in SPIKING else ({}, name)
    folder, run = RunFolder.open(trained_run(name))
    settings, parameters, task = run.settings, folder.parameters(), get_task(run.task)
    network = settings.network.replace(**changes)
    if task.environment is None:
        seen = observations(load_split(settings.classify, 0)[0].test_images).astype(np.float64)
    else:
        seen = visited(network, parameters, task, DECISIONS)
    return Net(network, parameters, network.obs.quantise(seen))


def visited(config: DeviceConfig, parameters: Parameters, task: Task, count: int) -> NDArray[np.float64]:
    """The first observations that golden meets while it plays, sampling; shape (count, S)."""
    device = Device(config)
    weight, bias = to_octaves(config, parameters)
    device.load("weight", weight)
    device.load("bias", bias)
    environment = task.make()
    seen = []
    obs, _ = environment.reset(seed=0)
    for number in range(count):
        seen.append(obs)
        action = device.infer(config.obs.quantise(obs[None]), np.array([number], dtype=np.uint64)).winners[0, -1]
        obs, _, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            obs, _ = environment.reset()
    environment.close()
    return np.array(seen)


def measure(name: str, row: Row, quick: bool, net: Net | None = None) -> None:
    """Measure one of :data:`NAMES` and hand its rows to ``row``.

    Parameters
    ----------
    net: instead of the trained one.
    """
    kind, what = name.split("/")
    net = net or trained_net(kind)
    options = CoreOptions.within(net.config, MULTIPLIERS)
    if what == "rtl":
        _rtl(name, row, net, options, quick)
    else:
        _simulators(name, row, net, options, quick)


def loaded(net: Net, device: D) -> D:
    """A device with the parameters of a net."""
    weight, bias = to_octaves(net.config, net.parameters)
    device.load("weight", weight)
    device.load("bias", bias)
    return device


def _rtl(name: str, row: Row, net: Net, options: CoreOptions, quick: bool) -> None:
    """Cycles by the counters, their bound, the use of the engine, and the speed of the compiled model."""
    config = net.config
    obs = net.obs[: 200 if quick else DECISIONS]
    nonce = np.arange(len(obs), dtype=np.uint64)
    model = VerilatedModel(core_library(config, options))
    device = loaded(net, FrameDevice(config, model))
    before = model.cycles
    result = device.infer(obs, nonce, "sample", activity=False)
    with_transfer = (model.cycles - before) / len(obs)
    golden = loaded(net, Device(config))
    twin = golden.infer(obs, nonce, "sample")
    fields = ("winners", "prob_raw", "iterations", "events", "row_words")
    if any(not np.array_equal(getattr(result, field), getattr(twin, field)) for field in fields):
        raise SvpgError(f"{name}: golden and the RTL differ; run svpg lockstep to see where")
    fewest = [bound(config, options, int(w), int(n)) for w, n in zip(result.row_words, result.iterations, strict=True)]
    issued = config.row_words * len(obs) + result.row_words.sum()
    row(f"{name}/multipliers", options.multipliers(config), "")
    row(f"{name}/cycles", result.cycles.mean(), "cycles")
    row(f"{name}/cycles-most", result.cycles.max(), "cycles")
    row(f"{name}/cycles-bound", float(np.mean(fewest)), "cycles")
    row(f"{name}/cycles-with-transfer", with_transfer, "cycles")
    row(f"{name}/row-words", result.row_words.mean(), "words")
    row(f"{name}/issue-rate", 100 * issued / (issued + result.stalls.sum()), "%")
    rounds = 3 if quick else 7
    single = _seconds(lambda: device.infer(obs, nonce, "sample", activity=False), rounds) / len(obs)
    pool = loaded(net, core_pool(config, options))
    together = _seconds(lambda: pool.infer(obs, nonce, "sample", activity=False), rounds) / len(obs)
    row(f"{name}/simulated", with_transfer / single / 1e3, "kcycles/s")
    row(f"{name}/decisions", 1 / single, "1/s")
    row(f"{name}/decisions-all-cores", 1 / together, "1/s")
    row(f"{name}/golden-over-rtl", together / (_seconds(lambda: golden.infer(obs, nonce), rounds) / len(obs)), "x")
    if name.startswith("pendulum"):
        authors = authors_us(config) * 1e-6
        row(f"{name}/over-authors", authors / single, "x")
        row(f"{name}/over-authors-all-cores", authors / together, "x")


def authors_us(config: DeviceConfig) -> float:
    """Time of the authors' pendulum decision in the mode of a device."""
    return AUTHORS_SPIKES_US if config.spikes else AUTHORS_FORWARD_US


def _simulators(name: str, row: Row, net: Net, options: CoreOptions, quick: bool) -> None:
    """The compiled model against the two ways to simulate the core clock by clock from Python."""
    config = net.config
    slow, fast = _frames(net, 2 if quick else 5), _frames(net, 500)
    model = VerilatedModel(core_library(config, options))
    loaded(net, FrameDevice(config, model))
    before = model.cycles
    model.exchange(fast, 500)
    cycles = model.cycles - before
    compiled = cycles / _seconds(lambda: model.exchange(fast, 500), 3 if quick else 7)
    cocotb = cocotb_rate(config, options, _frames(net, 5 if quick else 50))
    amaranth = amaranth_rate(config, options, slow)
    row(f"{name}/compiled", compiled / 1e3, "kcycles/s")
    row(f"{name}/cocotb", cocotb / 1e3, "kcycles/s")
    row(f"{name}/amaranth", amaranth / 1e3, "kcycles/s")
    row(f"{name}/compiled-over-cocotb", compiled / cocotb, "x")
    row(f"{name}/compiled-over-amaranth", compiled / amaranth, "x")


def _frames(net: Net, count: int) -> Words:
    """``INFER`` frames, flat."""
    values = {"nonce": np.arange(count)[:, None], "obs": net.obs[np.arange(count) % len(net.obs)]}
    words: Words = pack(header(Command.INFER, 0), command_fields(net.config, Command.INFER, 0), values, count)
    return words.ravel()


def _seconds(call: Callable[[], object], rounds: int) -> float:
    """Median duration of a call."""
    call()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
