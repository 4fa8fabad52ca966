"""The compiled core as a device: its memory, transactions and counters through frames."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

import golden
import hdl
from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.files import write_atomically
from hdl.device import device
from hdl.options import CoreOptions
from sim import build
from sim.model import DESIGN, VerilatedModel, design_key, library
from sim.pool import Pool
from sim.practice import practise


def core_library(
    config: DeviceConfig, options: CoreOptions | None = None, waves: bool = False, profiled: bool = False
) -> Path:
    """Compile the core; see :func:`sim.model.library`.

    Parameters
    ----------
    config, options: what the core is built for.
    waves: compile it so that it can record waveforms.
    profiled: compile it for long work: it takes twice the time, and the model is a quarter faster. Not done
        where :func:`sim.build.quick_models_wanted`.

    Raises
    ------
    SvpgError: a tool is missing, or the compilation fails.
    """
    options = options or CoreOptions.usual(config)
    return library(
        noted_key("core", repr(config) + repr(options), lambda: device(config, options)),
        lambda path: build.write_verilog(device(config, options), path, DESIGN, gates_clocks=True),
        waves,
        practice=(lambda model: practise(FrameDevice(config, model), options.abilities))
        if profiled and not build.quick_models_wanted()
        else None,
    )


def noted_key(kind: str, parameters: str, make: Callable[[], wiring.Component]) -> str:
    """:func:`sim.model.design_key` of a design with clocks that rest, noted by what it is made of.

    Making the netlist takes seconds; as long as sources and parameters are the same, so is it.
    """
    note = build.CACHE / f"{kind}-{build.digest(_sources(), parameters)}"
    if note.is_file():
        return note.read_text()
    key = design_key(make(), gates_clocks=True)
    build.CACHE.mkdir(parents=True, exist_ok=True)
    write_atomically(note, lambda stream: stream.write(key.encode()))
    return key


def _sources() -> str:
    """Everything that makes a design of its parameters."""
    files = [path for package in (golden, hdl) for path in sorted(Path(package.__path__[0]).rglob("*.py"))]
    return "\0".join((importlib.metadata.version("amaranth"), *(path.read_text() for path in files)))


def core_pool(
    config: DeviceConfig, options: CoreOptions | None = None, instances: int | None = None, profiled: bool = False
) -> Pool:
    """As many compiled cores as there are processors to run them, unless told; see :func:`core_library`."""
    folder = core_library(config, options, profiled=profiled)
    count = instances or len(os.sched_getaffinity(0))
    return Pool([FrameDevice(config, VerilatedModel(folder)) for _ in range(count)])
