"""What is on a board's chip: clock, pins, and the top that every board has."""

from __future__ import annotations

from typing import Any

from amaranth import ClockDomain, Module
from amaranth.hdl import Elaboratable
from amaranth.lib import io

from golden.config import DeviceConfig
from hdl.board import BoardTop
from hdl.boards.catalogue import ICE40, Board
from hdl.boards.clock import Divisors, Ecp5Clock, Ice40Clock, ecp5_divisors, ice40_divisors
from hdl.options import CoreOptions


def divisors(board: Board, clock: int) -> Divisors:
    """Settings of the board's PLL that come nearest to a clock of the core, Hz.

    Raises
    ------
    SvpgError: a clock that the board cannot make.
    """
    divide = ice40_divisors if board.family is ICE40 else ecp5_divisors
    return divide(board.oscillator, clock)


class BoardDesign(Elaboratable):
    """:class:`hdl.board.BoardTop` at the pins of a board; ``learns`` is that of the core.

    Parameters
    ----------
    board: the board.
    config, options: of the core.
    clock: Hz of the core that are wanted; ``divisors.frequency`` are those that the PLL makes.

    Raises
    ------
    SvpgError: a clock that the board cannot make, or too slow for its UART.
    """

    def __init__(self, board: Board, config: DeviceConfig, options: CoreOptions, clock: int) -> None:
        self.board, self.learns = board, options.learns
        self.divisors = divisors(board, clock)
        self._top = BoardTop(config, options, round(self.divisors.frequency), board.baud)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains += ClockDomain("sync")
        m.submodules.clock = (Ice40Clock if self.board.family is ICE40 else Ecp5Clock)(self.divisors)
        m.submodules.top = top = self._top
        uart = platform.request("uart", 0, dir={name: "-" for name in ("rx", "tx", *self._unused(platform))})
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [top.rx.eq(rx.i), tx.o.eq(top.tx)]
        for light, (name, number) in self.board.leds.items():
            m.submodules[light] = led = io.Buffer("o", platform.request(name, number, dir="-"))
            m.d.comb += led.o.eq(getattr(top, light))
        return m

    @staticmethod
    def _unused(platform: Any) -> list[str]:
        """Pins of the UART beside its two lines."""
        return [
            pin.name for pin in platform.lookup("uart", 0).ios if getattr(pin, "name", None) not in (None, "rx", "tx")
        ]
