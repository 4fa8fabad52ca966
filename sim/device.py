"""The compiled core as a device: its memory, transactions and counters through frames."""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import golden
import hdl
from golden.arguments import PARAMETERS, Apply, check_infer
from golden.client import FrameDevice, TimedInference, TimedLearning
from golden.config import DeviceConfig
from golden.device import Ints
from golden.files import write_atomically
from golden.protocol import Section
from hdl.core import Core
from hdl.options import CoreOptions
from sim import build
from sim.model import DESIGN, VerilatedModel, design_key, library
from sim.practice import practise

T = TypeVar("T")


def core_library(
    config: DeviceConfig, options: CoreOptions | None = None, waves: bool = False, profiled: bool = False
) -> Path:
    """Compile the core; see :func:`sim.model.library`.

    Parameters
    ----------
    config, options: what the core is built for.
    waves: compile it so that it can record waveforms.
    profiled: compile it for long work: it takes twice the time, and the model is a quarter faster.

    Raises
    ------
    SvpgError: a tool is missing, or the compilation fails.
    """
    options = options or CoreOptions()
    # Making the netlist takes seconds; as long as its sources are the same, so is it.
    note = build.CACHE / f"core-{build.digest(_sources(), repr(config), repr(options))}"
    if note.is_file():
        key = note.read_text()
    else:
        key = design_key(Core(config, options), gates_clocks=True)
        build.CACHE.mkdir(parents=True, exist_ok=True)
        write_atomically(note, lambda stream: stream.write(key.encode()))
    return library(
        key,
        lambda path: build.write_verilog(Core(config, options), path, DESIGN, gates_clocks=True),
        waves,
        practice=(lambda model: practise(FrameDevice(config, model), options.abilities)) if profiled else None,
    )


def _sources() -> str:
    """Everything that makes a core of a configuration."""
    files = [path for package in (golden, hdl) for path in sorted(Path(package.__path__[0]).glob("*.py"))]
    return "\0".join((importlib.metadata.version("amaranth"), *(path.read_text() for path in files)))


class Pool:
    """Devices of one configuration as one device: all hold the same parameters and share the work of a batch.

    Has the interface of :class:`golden.client.FrameDevice`. A transaction is a pure function of parameters and
    arguments, so which device decides makes no difference. The first one learns alone; the others take over its
    parameters when they have to decide.

    Parameters
    ----------
    devices: at least one; each is used by one thread at a time.
    """

    def __init__(self, devices: Sequence[FrameDevice]) -> None:
        self.config = devices[0].config
        self._devices = list(devices)
        self._differ = False
        self._threads = concurrent.futures.ThreadPoolExecutor(len(devices), "svpg-device")

    @property
    def sections(self) -> tuple[Section, ...]:
        """Memories of each."""
        return self._devices[0].sections

    def info(self) -> dict[str, int | str]:
        """``INFO`` of the first."""
        return self._devices[0].info()

    def _on_all(self, work: Callable[[FrameDevice], T]) -> T:
        """Do the same on all devices; gives what the first one has answered."""
        answer, *_ = list(self._threads.map(work, self._devices))
        return answer

    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD`` into the first; parameters into all."""
        if section in PARAMETERS:
            self._on_all(lambda device: device.load(section, values, start))
        else:
            self._devices[0].load(section, values, start)

    def learn(
        self, obs: Ints, winners: Ints, modulator: Ints, rule: str, counters: bool = True
    ) -> TimedLearning | None:
        """``LEARN`` on the first."""
        return self._devices[0].learn(obs, winners, modulator, rule, counters)

    def apply(self, arguments: Apply) -> int:
        """``APPLY`` on the first."""
        self._differ = True
        return self._devices[0].apply(arguments)

    def clear_learning(self) -> None:
        """``CLEAR`` on the first."""
        self._devices[0].clear_learning()

    def _agree(self) -> None:
        """Load the parameters of the first into the others, if they may have changed."""
        if self._differ and len(self._devices) > 1:
            values = {section: self._devices[0].read(section) for section in PARAMETERS}

            def take_over(device: FrameDevice) -> None:
                for section, parameters in values.items():
                    device.load(section, parameters)

            list(self._threads.map(take_over, self._devices[1:]))
        self._differ = False

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ`` from the first."""
        return self._devices[0].read(section, start, count)

    def infer(
        self,
        obs: Ints,
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        given: Ints | None = None,
        activity: bool = True,
    ) -> TimedInference:
        """``INFER``, the batch in consecutive parts, one for each device."""
        obs, nonce, given = check_infer(self.config, obs, nonce, policy, given)
        if len(obs) < 2 or len(self._devices) == 1:
            return self._devices[0].infer(obs, nonce, policy, given, activity)
        self._agree()
        bounds = np.linspace(0, len(obs), len(self._devices) + 1).astype(int)

        def part(number: int) -> TimedInference:
            rows = slice(bounds[number], bounds[number + 1])
            return self._devices[number].infer(
                obs[rows], nonce[rows], policy, None if given is None else given[rows], activity
            )

        parts = list(self._threads.map(part, range(len(self._devices))))
        return TimedInference(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def core_pool(
    config: DeviceConfig, options: CoreOptions | None = None, instances: int | None = None, profiled: bool = False
) -> Pool:
    """As many compiled cores as there are processors to run them, unless told; see :func:`core_library`."""
    folder = core_library(config, options, profiled=profiled)
    count = instances or len(os.sched_getaffinity(0))
    return Pool([FrameDevice(config, VerilatedModel(folder)) for _ in range(count)])
