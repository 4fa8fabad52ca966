"""The boards, each with its device, clock and pins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.vendor import LatticeECP5Platform, LatticeICE40Platform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

from golden.errors import SvpgError
from hdl.boards.fold import FOLD, FOLD_COMMANDS, FOLD_FILE

NAME = "svpg"
"""Name of every design and of its files."""


@dataclass(frozen=True)
class Resources:
    """What a device has, or what a build takes of it.

    Parameters
    ----------
    luts: look-up tables of four inputs, those that serve as carry chains or as small memories included.
    registers: flip-flops.
    multipliers: of 18 × 18 bits (ECP5) or 16 × 16 bits (iCE40).
    block_rams: blocks of memory.
    big_rams: single-port memories of 16 K × 16 bits (iCE40 UP5K).
    """

    luts: int
    registers: int
    multipliers: int
    block_rams: int
    big_rams: int = 0


RESOURCE_NAMES = {
    "luts": "LUTs",
    "registers": "registers",
    "multipliers": "multipliers",
    "block_rams": "block memories",
    "big_rams": "single-port memories",
}
"""What :class:`Resources` counts, for people."""


@dataclass(frozen=True)
class Recipe:
    """How Yosys makes cells of a design: options of its ``synth_*``, and commands behind it."""

    options: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """A family of devices as its tools know it.

    Parameters
    ----------
    name: for people, and of the toolchain in :mod:`hdl.boards.flow`.
    block_kbit: bits of a block memory, in 1024.
    bitstream: suffix of the file that a device is configured with.
    recipe: how Yosys makes cells.
    placer: of nextpnr.
    utilisation: nextpnr's names of the cells that :class:`Resources` counts.
    files: what the recipes read beside the design, by name.
    absorbs: multipliers take registers in between synthesis and placement (:mod:`hdl.boards.absorb`).
    """

    name: str
    block_kbit: int
    bitstream: str
    recipe: Recipe
    placer: str
    utilisation: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    absorbs: bool = False


ECP5 = Family(
    name="ecp5",
    block_kbit=18,
    bitstream="bit",
    # Tables wider than four inputs are made of neighbours with all their wires, which is where routing has no way.
    # abc9, the mapper that synth_ecp5 takes, breaks off at builds that learn and at some that do not (Yosys 0.70).
    recipe=Recipe(
        "-run begin:map_luts",
        ("abc -dress -lut 4", "clean", f"synth_ecp5 -run map_cells: -top {NAME}", *FOLD_COMMANDS),
    ),
    # The other placer packs cells so densely that wide builds take very long to route (docs/results/boards.md).
    placer="static",
    utilisation={
        "luts": "TRELLIS_COMB",
        "registers": "TRELLIS_FF",
        "multipliers": "MULT18X18D",
        "block_rams": "DP16KD",
    },
    files={FOLD_FILE: FOLD},
    absorbs=True,
)

ICE40 = Family(
    name="ice40",
    block_kbit=4,
    bitstream="bin",
    recipe=Recipe("-dsp"),
    placer="heap",
    # A logic cell has one table and one flip-flop.
    utilisation={
        "luts": "ICESTORM_LC",
        "registers": "ICESTORM_LC",
        "multipliers": "ICESTORM_DSP",
        "block_rams": "ICESTORM_RAM",
        "big_rams": "ICESTORM_SPRAM",
    },
)


@dataclass(frozen=True)
class Board:
    """A board.

    Parameters
    ----------
    name: as on the command line.
    title: for people.
    device: name of the FPGA.
    family: of the FPGA.
    platform: makes its platform, pins and oscillator included.
    resources: of the FPGA.
    oscillator: Hz.
    clock: Hz of the core, made of the oscillator by a PLL.
    baud: of the UART, bits per second.
    leds: resource name and number of the lights ``alive``, ``busy`` and ``error``.
    outputs: pins that are held at 1.
    programmer: the name under which openFPGALoader knows it.
    recipe: how Yosys makes cells of builds that do not learn, where not as for the family.
    placer: of nextpnr, where not that of the family.
    """

    name: str
    title: str
    device: str
    family: Family
    platform: Callable[[], LatticeECP5Platform | LatticeICE40Platform]
    resources: Resources
    oscillator: int
    clock: int
    baud: int
    leds: Mapping[str, tuple[str, int]]
    programmer: str
    outputs: tuple[tuple[str, int], ...] = ()
    recipe: Recipe | None = None
    placer: str = ""


def _icebreaker() -> ICEBreakerPlatform:
    platform = ICEBreakerPlatform()
    # Its two lights are not enough; the section that can be broken off has more.
    platform.add_resources(platform.break_off_pmod)
    return platform


ULX3S: dict[str, Any] = {
    "family": ECP5,
    "oscillator": 25_000_000,
    "baud": 3_000_000,
    "leds": {"alive": ("led", 0), "busy": ("led", 1), "error": ("led", 2)},
    "programmer": "ulx3s",
}
"""What all ULX3S have in common."""

BOARDS = {
    board.name: board
    for board in (
        Board(
            name="ulx3s-85f",
            title="ULX3S with an ECP5 LFE5U-85F",
            device="LFE5U-85F",
            platform=ULX3S_85F_Platform,
            resources=Resources(luts=83_640, registers=83_640, multipliers=156, block_rams=208),
            clock=80_000_000,
            **ULX3S,
        ),
        Board(
            name="ulx3s-25f",
            title="ULX3S with an ECP5 LFE5U-25F",
            device="LFE5U-25F",
            platform=ULX3S_25F_Platform,
            resources=Resources(luts=24_288, registers=24_288, multipliers=28, block_rams=56),
            clock=80_000_000,
            # What fits here is never so wide that routing finds no way, and faster so (docs/results/boards.md).
            recipe=Recipe(commands=FOLD_COMMANDS),
            placer="heap",
            **ULX3S,
        ),
        Board(
            name="icebreaker",
            title="iCEBreaker with an iCE40 UP5K",
            device="iCE40UP5K",
            family=ICE40,
            platform=_icebreaker,
            resources=Resources(luts=5_280, registers=5_280, multipliers=8, block_rams=30, big_rams=4),
            oscillator=12_000_000,
            clock=24_000_000,
            baud=3_000_000,
            leds={"alive": ("led_g", 0), "busy": ("led_g", 1), "error": ("led_r", 0)},
            programmer="ice40_generic",
        ),
    )
}


def get_board(name: str) -> Board:
    """The board called ``name``.

    Raises
    ------
    SvpgError: no such board; the message lists those there are.
    """
    if name not in BOARDS:
        raise SvpgError(f"unknown board {name!r}; choose one of {', '.join(BOARDS)}")
    return BOARDS[name]


def excesses(board: Board, needs: Resources) -> list[str]:
    """What a design takes too much of, in words."""
    return [
        f"{getattr(needs, name):,} {words} of {getattr(board.resources, name):,}"
        for name, words in RESOURCE_NAMES.items()
        if getattr(needs, name) > getattr(board.resources, name)
    ]


def excess(board: Board, needs: Resources) -> float:
    """The largest share of any resource that a design takes, 1 being all of it."""
    return max(
        getattr(needs, name) / max(getattr(board.resources, name), 1)
        for name in RESOURCE_NAMES
        if getattr(needs, name) or getattr(board.resources, name)
    )
