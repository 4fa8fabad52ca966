"""The RTL, compiled for simulation, behind the host's interface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.config import DeviceConfig
from golden.device import Inference, Ints
from golden.protocol import section_names
from hdl.options import CoreOptions
from host.backends.device import DeviceBackend
from sim.device import core_pool


class RtlBackend(DeviceBackend):
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
        self._pool = core_pool(config, options, profiled=learns is not None)
        self.sections = section_names(options.abilities.sections)
        super().__init__(config, self._pool)

    def _infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str,
        winners: Ints | None,
        activity: bool,
        spikes: bool,
    ) -> Inference:
        return self._pool.infer(obs, nonce, policy, winners, activity, spikes)

    def _learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None = None
    ) -> None:
        self._pool.learn(obs, winners, modulator, rule, nonce, counters=False)
