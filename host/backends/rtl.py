"""The RTL, compiled for simulation, behind the host's interface."""

from __future__ import annotations

from golden.config import DeviceConfig
from golden.protocol import section_names
from hdl.options import CoreOptions
from host.backends.device import HardwareBackend
from sim.device import core_pool


class RtlBackend(HardwareBackend):
    """The device as hardware, simulated by Verilator; see :class:`host.backend.Backend`.

    The first use of a configuration compiles it, which takes a minute; the result is kept in ``build/``.

    Parameters
    ----------
    config: of the device.
    learns: rule and optimiser that it is to learn with, if any. The less it has, the faster it simulates; as to learn
        is long work, it is also compiled with more care.
    options: of the hardware instead, in full.

    Raises
    ------
    SvpgError: a tool is missing; the message says how to install it.
    """

    name = "rtl"

    def __init__(
        self, config: DeviceConfig, learns: tuple[str, str] | None = None, options: CoreOptions | None = None
    ) -> None:
        if options is None:
            options = CoreOptions.usual(config)
            if learns:
                rule, optimiser = learns
                options = options.learning([rule], [optimiser])
        self.sections = section_names(options.abilities.sections)
        super().__init__(config, core_pool(config, options, profiled=learns is not None))
