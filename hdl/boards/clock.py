"""The core's clock: a PLL behind the oscillator, and a reset until it is steady."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any

from amaranth import Cat, ClockDomain, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.hdl import Elaboratable
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from golden.errors import SvpgError

RESET_SECONDS = 15e-6
"""Length of the reset at start; the block memories of an iCE40 read as zero for the first 3 µs."""


@dataclass(frozen=True)
class Divisors:
    """Settings of a PLL.

    Parameters
    ----------
    reference: divides the oscillator; feedback: the output that is compared with it.
    output: divides the PLL's own oscillator.
    frequency: Hz of the output.
    """

    reference: int
    feedback: int
    output: int
    frequency: float


def ecp5_divisors(oscillator: int, wanted: int) -> Divisors:
    """Settings of an EHXPLLL that come nearest to a frequency.

    The phase detector works from 3.125 to 400 MHz, the oscillator of the PLL from 400 to 800 MHz; of equal settings
    the one with that oscillator nearest to 600 MHz is taken.

    Raises
    ------
    SvpgError: nothing within 1 %.
    """
    found = [
        (abs(frequency - wanted), abs(frequency * output - 600e6), Divisors(reference, feedback, output, frequency))
        for reference in range(1, 129)
        if 3.125e6 <= oscillator / reference <= 400e6
        for feedback in range(1, 81)
        for frequency in (oscillator * feedback / reference,)
        if abs(frequency - wanted) <= wanted / 100
        for output in range(1, 129)
        if 400e6 <= frequency * output <= 800e6
    ]
    return _nearest(found, oscillator, wanted)


def ice40_divisors(oscillator: int, wanted: int) -> Divisors:
    """Settings of an SB_PLL40 that come nearest to a frequency, feedback simple.

    The phase detector works from 10 to 133 MHz, the oscillator of the PLL from 533 to 1066 MHz. ``output`` is a power
    of two.

    Raises
    ------
    SvpgError: nothing within 1 %.
    """
    found = [
        (abs(frequency - wanted), float(reference), Divisors(reference, feedback, output, frequency))
        for reference in range(1, 17)
        if 10e6 <= oscillator / reference <= 133e6
        for feedback in range(1, 129)
        if 533e6 <= oscillator / reference * feedback <= 1066e6
        for output in (2, 4, 8, 16, 32, 64)
        for frequency in (oscillator / reference * feedback / output,)
        if abs(frequency - wanted) <= wanted / 100
    ]
    return _nearest(found, oscillator, wanted)


def _nearest(found: list[tuple[float, float, Divisors]], oscillator: int, wanted: int) -> Divisors:
    if not found:
        raise SvpgError(
            f"a clock of {wanted / 1e6:g} MHz cannot be made of {oscillator / 1e6:g} MHz; choose another --clock"
        )
    return min(found, key=lambda entry: entry[:2])[2]


class _BoardClock(Elaboratable, abc.ABC):
    """Drives the domain ``sync`` from a PLL behind the board's oscillator, with a reset until it is locked and steady.

    Parameters
    ----------
    divisors: of the PLL.
    """

    def __init__(self, divisors: Divisors) -> None:
        self.divisors = divisors

    @abc.abstractmethod
    def pll(self, m: Module, platform: Any, output: Signal, locked: Signal) -> None:
        """Adds the PLL, which drives ``output`` and ``locked``."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        output, locked, steady = Signal(name="pll_clock"), Signal(), Signal()
        self.pll(m, platform, output, locked)
        platform.add_clock_constraint(output, self.divisors.frequency)
        m.domains += ClockDomain("start", reset_less=True, local=True)
        m.submodules += FFSynchronizer(locked, steady, o_domain="start")
        wait = math.ceil(RESET_SECONDS * self.divisors.frequency)
        timer, ready = Signal(range(wait + 1)), Signal()
        m.d.comb += [Cat(ClockSignal("start"), ClockSignal()).eq(output.replicate(2)), ResetSignal().eq(~ready)]
        m.d.start += ready.eq(timer == wait)
        with m.If(~steady):
            m.d.start += timer.eq(0)
        with m.Elif(timer != wait):
            m.d.start += timer.eq(timer + 1)
        return m


class Ecp5Clock(_BoardClock):
    """:class:`_BoardClock` with an EHXPLLL, its output fed back."""

    def pll(self, m: Module, platform: Any, output: Signal, locked: Signal) -> None:
        """Adds the PLL."""
        m.submodules.oscillator = oscillator = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        known = self.divisors
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKI_DIV=known.reference,
            p_CLKFB_DIV=known.feedback,
            p_FEEDBK_PATH="CLKOP",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=known.output,
            p_CLKOP_CPHASE=known.output - 1,
            p_CLKOP_FPHASE=0,
            i_CLKI=oscillator.i,
            i_CLKFB=output,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=1,
            i_PHASESTEP=1,
            i_PHASELOADREG=1,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            o_CLKOP=output,
            o_LOCK=locked,
        )


class Ice40Clock(_BoardClock):
    """:class:`_BoardClock` with an SB_PLL40_PAD at the oscillator's pin."""

    def pll(self, m: Module, platform: Any, output: Signal, locked: Signal) -> None:
        """Adds the PLL."""
        known = self.divisors
        compared = platform.default_clk_frequency / known.reference
        # Ranges of the loop filter begin at these frequencies of the phase detector.
        filter_range = sum(compared >= limit for limit in (17e6, 26e6, 44e6, 66e6, 101e6)) + 1
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=known.reference - 1,
            p_DIVF=known.feedback - 1,
            p_DIVQ=known.output.bit_length() - 1,
            p_FILTER_RANGE=filter_range,
            i_PACKAGEPIN=platform.request(platform.default_clk, dir="-").io,
            i_RESETB=1,
            i_BYPASS=0,
            o_PLLOUTGLOBAL=output,
            o_LOCK=locked,
        )
