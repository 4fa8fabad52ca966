"""A serial port by its path."""

from __future__ import annotations

import contextlib
import select
import time

import serial

from golden.errors import SvpgError
from golden.link_client import PipeError

COMES_BACK = 5.0
"""Seconds in which a port that is gone may come back, as after a cable was pulled and put in."""


class SerialPort:
    """A serial port, 8N1; nobody else can open it. Implements :class:`golden.link_client.Pipe`.

    Parameters
    ----------
    path: such as ``/dev/ttyUSB0``.
    baud: bits per second.

    Raises
    ------
    SvpgError: no such port, no permission, in use, or a rate that it does not have.
    """

    def __init__(self, path: str, baud: int) -> None:
        self._path, self._baud = path, baud
        try:
            self._port = self._open()
        except PipeError as error:
            raise SvpgError(str(error)) from error

    def _open(self) -> serial.Serial:
        try:
            port = serial.Serial(self._path, self._baud, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise PipeError(f"{self._path}: {_reason(error, self._baud)}") from error
        # Many adapters otherwise hand on what they have received after 16 ms only.
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            port.set_low_latency_mode(True)
        return port

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            left = memoryview(data)
            while left:
                select.select([], [self._port], [])
                left = left[self._port.write(left) :]
        except OSError as error:
            raise self._gone(error) from error

    def read(self, wait: float) -> bytes:
        """Bytes that have come; none if none come within ``wait`` seconds."""
        try:
            if not select.select([self._port], [], [], wait)[0]:
                return b""
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> PipeError:
        return PipeError(f"{self._path}: the port is gone ({error}); check the cable and the board's power")

    def reopen(self) -> None:
        """Close the port and open it again, when it is there again."""
        self.close()
        until = time.monotonic() + COMES_BACK
        while True:
            try:
                self._port = self._open()
                return
            except PipeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):
            self._port.close()


def _reason(error: Exception, baud: int) -> str:
    """Why a port cannot be opened, and what to do."""
    number = getattr(error, "errno", None)
    if number == 2:
        return "no such port; is the board plugged in? ls /dev/ttyUSB* /dev/ttyACM* lists those there are"
    if number == 13:
        return "no permission; add yourself to its group (sudo usermod -aG dialout $USER) and log in again"
    if "lock" in str(error) or number in (11, 16):
        return "in use by another program; end that first"
    if isinstance(error, ValueError):
        return f"does not take a baud rate of {baud}; give another --baud, and build the bitstream for it"
    return f"cannot be opened ({error}); give the port of the board"
