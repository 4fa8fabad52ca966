"""Backends by name. Each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.modes import MODES
from host.backend import Backend, Port


@dataclass(frozen=True)
class Entry:
    """Where a backend lives and what it can do.

    Parameters
    ----------
    module, attribute: a class that is constructed from a :class:`golden.config.DeviceConfig`.
    builds: its constructor takes ``learns``, because what does not learn is made otherwise.
    modes: inference modes it offers.
    optimisers: update rules its ``apply`` knows.
    title: one line for people.
    exact: it computes what golden computes, bit by bit.
    wired: it is at a port.
    """

    module: str
    attribute: str
    modes: tuple[str, ...]
    optimisers: tuple[str, ...]
    title: str
    builds: bool = False
    exact: bool = False
    wired: bool = False


BACKENDS = {
    "float": Entry(
        "host.backends.float",
        "FloatBackend",
        modes=MODES,
        optimisers=("sgd", "rmsprop", "adam"),
        title="floating-point reference (PyTorch)",
    ),
    "golden": Entry(
        "host.backends.golden",
        "GoldenBackend",
        modes=MODES,
        optimisers=("sgd", "rmsprop", "sign"),
        title="bit-exact integer model of the device",
        exact=True,
    ),
    "rtl": Entry(
        "host.backends.rtl",
        "RtlBackend",
        modes=MODES,
        optimisers=("sgd", "rmsprop", "sign"),
        title="the hardware, simulated by Verilator",
        builds=True,
        exact=True,
    ),
    "board": Entry(
        "host.backends.board",
        "BoardBackend",
        modes=MODES,
        optimisers=("sgd", "rmsprop", "sign"),
        title="the hardware on an FPGA, at a serial port (--port)",
        builds=True,
        exact=True,
        wired=True,
    ),
}


def get_entry(name: str) -> Entry:
    """The backend's entry; an unknown name raises :class:`SvpgError` listing the known ones."""
    if name not in BACKENDS:
        raise SvpgError(f"unknown backend {name!r}; choose one of {', '.join(BACKENDS)}")
    return BACKENDS[name]


def check_backend(name: str, mode: str = "rate", optimiser: str | None = None) -> None:
    """Raise :class:`SvpgError` unless the backend exists and offers the mode and the optimiser."""
    entry = get_entry(name)
    if mode not in entry.modes:
        raise SvpgError(f"backend {name} has no {mode!r} mode; choose one of {', '.join(entry.modes)}")
    if optimiser is not None and optimiser not in entry.optimisers:
        raise SvpgError(
            f"learning.optimiser = {optimiser!r} does not exist on backend {name}; "
            f"choose one of {', '.join(entry.optimisers)}"
        )


def check_port(name: str, port: Port | None) -> None:
    """Raise :class:`SvpgError` unless a port is given to a backend that has one, and to no other."""
    if get_entry(name).wired and port is None:
        raise SvpgError(f"backend {name} needs --port PORT; ls /dev/ttyUSB* /dev/ttyACM* lists those there are")
    if port is not None and not get_entry(name).wired:
        raise SvpgError(f"--port {port.path}: backend {name} has no port; give --backend board as well")


def make_backend(
    name: str, config: DeviceConfig, learns: tuple[str, str] | None = None, port: Port | None = None
) -> Backend:
    """A new backend with all parameters zero; those of a board are what they were.

    Parameters
    ----------
    learns: rule and optimiser that it will be asked for, if any; what is built may leave out the others.
    port: of a board.

    Raises
    ------
    SvpgError: unknown name, the backend does not have the configuration's mode, or its board does not answer.
    """
    check_backend(name, config.mode)
    check_port(name, port)
    entry = BACKENDS[name]
    make = getattr(importlib.import_module(entry.module), entry.attribute)
    known = {"learns": learns} if entry.builds else {}
    backend: Backend = make(config, **known, **({"port": port} if entry.wired else {}))
    return backend
