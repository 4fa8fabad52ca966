"""Hardware that is compared with golden: the compiled core, or a board at a port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from golden.client import FrameDevice
from golden.config import DeviceConfig
from hdl.options import CoreOptions
from host.backend import Port
from host.wire import connect
from sim.device import core_library, core_pool
from sim.model import VerilatedModel
from sim.pool import Pool


@dataclass(frozen=True)
class Hardware:
    """What is looked at beside golden.

    Parameters
    ----------
    config: of both.
    options: of the hardware; of a board those that it tells, which are all that matter to its answers.
    device: answers.
    fresh: gives a device to find out whether a fault comes back: one that has run nothing, or the board again, whose
        memories are loaded before it is asked.
    close: ends the connection.
    """

    config: DeviceConfig
    options: CoreOptions
    device: FrameDevice | Pool
    fresh: Callable[[], FrameDevice]
    close: Callable[[], None] = lambda: None


def fresh_core(config: DeviceConfig, options: CoreOptions) -> FrameDevice:
    """One compiled core that has run nothing yet."""
    return FrameDevice(config, VerilatedModel(core_library(config, options)))


def simulated(config: DeviceConfig, options: CoreOptions) -> Hardware:
    """The compiled core.

    Raises
    ------
    SvpgError: a missing tool.
    """
    return Hardware(config, options, core_pool(config, options), lambda: fresh_core(config, options))


def on_board(config: DeviceConfig, port: Port) -> Hardware:
    """The board at a port.

    Raises
    ------
    SvpgError: as :func:`host.wire.connect`.
    """
    wire = connect(config, port)
    device = wire.device
    options = CoreOptions(softmax_lanes=int(device.info()["softmax_lanes"]))
    if device.rules:
        options = options.learning(sorted(device.rules), sorted(device.optimisers))
    return Hardware(device.config, options, device, lambda: device, wire.close)
