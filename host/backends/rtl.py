"""The RTL, compiled for simulation, behind the host's interface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.device import Inference, Ints
from hdl.options import CoreOptions
from host.backends.device import DeviceBackend
from sim.device import core_pool


class RtlBackend(DeviceBackend):
    """The device as hardware, simulated by Verilator; see :class:`host.backend.Backend`. It does not learn.

    The first use of a configuration compiles it, which takes a minute; the result is kept in ``build/``.

    Parameters
    ----------
    config: of the device.
    options: of the hardware; the defaults unless told.

    Raises
    ------
    SvpgError: a tool is missing; the message says how to install it.
    """

    name = "rtl"

    def __init__(self, config: DeviceConfig, options: CoreOptions | None = None) -> None:
        self._pool = core_pool(config, options)
        super().__init__(config, self._pool)

    def _infer(
        self, obs: Ints, nonce: NDArray[np.uint64], policy: str, winners: Ints | None, activity: bool
    ) -> Inference:
        return self._pool.infer(obs, nonce, policy, winners, activity)
