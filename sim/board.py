"""A whole board, compiled, whose serial line is a port as of a real one."""

from __future__ import annotations

import ctypes
import os
import threading
import tty
from pathlib import Path

from golden.config import DeviceConfig
from golden.link import Buffers
from hdl.board import BoardTop
from hdl.options import CoreOptions
from sim import build
from sim.device import noted_key
from sim.model import DESIGN, LIBRARY, library

HARNESS = tuple(Path(__file__).with_name(f"board.{kind}") for kind in ("v", "cpp"))
"""What is compiled around a board."""

CLOCK_HZ = 24_000_000
CYCLES_PER_BIT = 8
"""Of the simulated line: that of the slowest clock at the fastest rate. Fewer are simulated sooner."""

LIGHTS = ("alive", "busy", "error")


def board_library(config: DeviceConfig, options: CoreOptions, clock_hz: int, baud: int, buffers: Buffers) -> Path:
    """Compile a board; see :func:`sim.model.library`.

    Raises
    ------
    SvpgError: a tool is missing, the compilation fails, or a baud rate that the clock cannot make.
    """

    def make() -> BoardTop:
        return BoardTop(config, options, clock_hz, baud, buffers)

    key = noted_key("board", repr((config, options, clock_hz, baud, buffers)), make)
    return library(key, lambda path: build.write_verilog(make(), path, DESIGN, gates_clocks=True), harness=HARNESS)


class SimulatedBoard:
    """A board behind a pseudo-terminal. It runs in a thread of its own until it is closed; use it in ``with``.

    The line is slower than a real one, because the simulation is; and a board that has nothing to do stands still.

    Parameters
    ----------
    config, options: of the core.
    clock_hz, baud: of the board's UART. The clock of a simulation has no frequency: only their quotient counts.
    buffers: of the link.
    line_baud: the rate at which bits come, if it is another than the board's.

    Attributes
    ----------
    path: of the port to open.

    Raises
    ------
    SvpgError: a tool is missing, or a device that is not possible in hardware.
    """

    def __init__(
        self,
        config: DeviceConfig,
        options: CoreOptions,
        clock_hz: int = CLOCK_HZ,
        baud: int = CLOCK_HZ // CYCLES_PER_BIT,
        buffers: Buffers | None = None,
        line_baud: int | None = None,
    ) -> None:
        self._code = _load(board_library(config, options, clock_hz, baud, buffers or Buffers()))
        self._handle = ctypes.c_void_p(self._code.svpg_board_open(clock_hz / (line_baud or baud)))
        self._port, self._other_end = os.openpty()
        # Nobody echoes or translates; the other end stays open, so that a host may come and go.
        tty.setraw(self._port)
        os.set_blocking(self._port, False)
        self.path = os.ttyname(self._other_end)
        self._stop = ctypes.c_int32(0)
        self._thread = threading.Thread(target=self._run, name="svpg-board", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._code.svpg_board_run(self._handle, self._port, ctypes.byref(self._stop))

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def cycles(self) -> int:
        """Clock cycles since it was made."""
        return int(self._code.svpg_board_cycles(self._handle))

    @property
    def worked(self) -> int:
        """Those of them in which the core or the line had something to do."""
        return int(self._code.svpg_board_worked(self._handle))

    @property
    def lights(self) -> dict[str, bool]:
        """Which of :data:`LIGHTS` are on."""
        bits = int(self._code.svpg_board_lights(self._handle))
        return {name: bool(bits >> i & 1) for i, name in enumerate(LIGHTS)}

    def wait(self, seconds: float | None = None) -> None:
        """Until it is closed, or for some time."""
        self._thread.join(seconds)

    def close(self) -> None:
        """Stop it and close the port; memories are lost."""
        if self._stop.value:
            return
        self._stop.value = 1
        self._thread.join()
        os.close(self._port)
        os.close(self._other_end)
        self._code.svpg_board_close(self._handle)


def _load(folder: Path) -> ctypes.CDLL:
    code = ctypes.CDLL(str(folder / LIBRARY))
    handle = ctypes.c_void_p
    code.svpg_board_open.restype, code.svpg_board_open.argtypes = handle, (ctypes.c_double,)
    code.svpg_board_cycles.restype = code.svpg_board_worked.restype = ctypes.c_uint64
    code.svpg_board_lights.restype = ctypes.c_uint32
    for name in ("close", "cycles", "worked", "lights"):
        getattr(code, f"svpg_board_{name}").argtypes = (handle,)
    code.svpg_board_run.argtypes = (handle, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32))
    return code
