"""A board at a serial port as a device."""

from __future__ import annotations

from dataclasses import dataclass

from golden.client import FrameDevice, with_lanes_of
from golden.config import DeviceConfig
from golden.link_client import LinkTransport
from host.backend import Port
from host.serial_port import SerialPort


@dataclass(frozen=True)
class Wire:
    """A board that has answered.

    Parameters
    ----------
    device: the board.
    transport: the link to it.
    """

    device: FrameDevice
    transport: LinkTransport

    def close(self) -> None:
        """Close the port; the board keeps its memories."""
        self.transport.close()


def connect(config: DeviceConfig, port: Port) -> Wire:
    """Open a port, begin a session and compare versions and configuration.

    A bitstream's row words may be wider or narrower than those of the configuration: that changes no result, so the
    device's count.

    Parameters
    ----------
    config: what the board must have been built for, but for ``lanes``.

    Raises
    ------
    SvpgError: no such port, nobody answers, or a board of another version or configuration.
    """
    transport = LinkTransport(SerialPort(port.path, port.baud))
    try:
        return Wire(FrameDevice(with_lanes_of(config, transport), transport), transport)
    except BaseException:
        transport.close()
        raise
