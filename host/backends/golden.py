"""The golden model behind the host's interface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.arguments import Observations
from golden.config import DeviceConfig
from golden.device import Device, Inference, Ints
from host.backends.device import DeviceBackend


class GoldenBackend(DeviceBackend):
    """Bit-accurate device in Python; see :class:`host.backend.Backend`."""

    name = "golden"

    def __init__(self, config: DeviceConfig) -> None:
        self.device = Device(config)
        super().__init__(config, self.device)

    def _infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str,
        winners: Ints | None,
        activity: bool,
        spikes: bool,
    ) -> Inference:
        return self.device.infer(obs, nonce, policy, winners)

    def _learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None = None
    ) -> None:
        self.device.learn(obs, winners, modulator, rule, nonce)
