"""A board at a serial port behind the host's interface."""

from __future__ import annotations

from typing import Any

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.protocol import section_names
from host.backend import Port
from host.backends.device import HardwareBackend
from host.wire import connect


class BoardBackend(HardwareBackend):
    """The device on an FPGA, through the link (docs/link.md); see :class:`host.backend.Backend`.

    A batch is sent as fast as the line takes it, with as many transactions on their way as the device's buffers hold.

    Parameters
    ----------
    config: of the device, but for ``lanes``, which are those of the bitstream.
    port: where the board is.
    learns: rule and optimiser that it is to learn with, if any.

    Raises
    ------
    SvpgError: no such port, nobody answers, or a bitstream of another version, configuration or ability.
    """

    name = "board"

    def __init__(self, config: DeviceConfig, port: Port, learns: tuple[str, str] | None = None) -> None:
        self._wire = connect(config, port)
        device = self._wire.device
        self.sections = section_names(device.sections)
        super().__init__(config, device)
        if learns:
            rule, optimiser = learns
            if rule not in device.rules or optimiser not in device.optimisers:
                self.close()
                raise SvpgError(
                    f"{port.path}: the bitstream does not learn with {rule} and {optimiser}: it has "
                    f"{', '.join(sorted(device.rules | device.optimisers)) or 'no learning'}; build it with "
                    f"--set core.rules={rule} --set core.optimisers={optimiser}, or choose what it has with --set "
                    "learning.rule and learning.optimiser"
                )

    def info(self) -> dict[str, Any]:
        """``INFO`` of the device, and the packets that its buffers hold."""
        buffers = self._wire.transport.buffers
        return {**super().info(), "slots": buffers.slots, "slot_bytes": buffers.slot_bytes}

    def close(self) -> None:
        """Close the port; the board keeps its memories."""
        self._wire.close()
