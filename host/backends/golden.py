"""The golden model behind the host's interface."""

from __future__ import annotations

from golden.config import DeviceConfig
from golden.device import Device
from host.backends.device import DeviceBackend


class GoldenBackend(DeviceBackend):
    """Bit-accurate device in Python; see :class:`host.backend.Backend`."""

    name = "golden"

    def __init__(self, config: DeviceConfig) -> None:
        self.device = Device(config)
        super().__init__(config, self.device)
