"""A build for a board: tools, report, files."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.files import make_folder, write_atomically
from hdl.boards.catalogue import NAME
from hdl.boards.design import BoardDesign, divisors
from hdl.boards.flow import DoesNotFitError, Placed, place_and_route, synthesize
from host.board_report import build_report, failed_report, markdown
from host.board_subject import Wanted
from host.interrupts import interruptible
from sim.plan import Plan

REPORTS = ("report.json", "report.md")

NEARLY = 0.85
"""A placement that reaches this share of the clock is worth another attempt."""


@dataclass(frozen=True)
class Built:
    """The outcome of a build.

    Parameters
    ----------
    data: the report, as far as the tools came.
    problem: why there is no bitstream; empty if there is one.
    """

    data: dict[str, Any]
    problem: str


def build_board(wanted: Wanted, plan: Plan, folder: Path, clock: int, seed: int, attempts: int = 1) -> Built:
    """Bitstream and report in a folder; neither if the design does not fit or misses its clock.

    Parameters
    ----------
    wanted, plan: what is built.
    folder: is made.
    clock: Hz of the core.
    seed: of the placement.
    attempts: placements, each of the next seed, as long as the clock is missed by little; the fastest counts.

    Raises
    ------
    SvpgError: a clock that cannot be made; a tool that is missing or fails; files that cannot be written.
    """
    board = plan.board
    frequency = divisors(board, clock).frequency
    make_folder(folder)
    bitstream = folder / f"{NAME}.{board.family.bitstream}"
    # What an earlier build left would be taken for this one's, should this one fail.
    for name in (bitstream.name, *REPORTS):
        (folder / name).unlink(missing_ok=True)
    try:
        placed, seed = _run_tools(BoardDesign(board, plan.config, plan.options, clock), folder, seed, attempts)
    except DoesNotFitError as error:
        return Built(failed_report(wanted, plan, error.used, frequency, seed), str(error))
    data = build_report(wanted, plan, placed, bitstream, seed)
    if placed.fmax < placed.clock:
        path = data["critical_path"]
        return Built(
            {**data, "bitstream": None},
            f"{data['fmax_mhz']} MHz after place and route, but the clock is {data['clock_mhz']} MHz; the slowest path "
            f"is from {path['from']} to {path['to']}; try another --seed or a slower --clock",
        )
    write_atomically(bitstream, lambda stream: stream.write(placed.bitstream))
    for name, text in zip(REPORTS, (json.dumps(data, indent=2) + "\n", markdown(data)), strict=True):
        write_atomically(folder / name, lambda stream, text=text: stream.write(text.encode()))  # type: ignore[misc]
    return Built(data, "")


def _run_tools(design: BoardDesign, folder: Path, seed: int, attempts: int) -> tuple[Placed, int]:
    """Run the tools in a folder of their own; their logs stay. Returns the fastest placement and its seed."""
    began = time.monotonic()

    def progress(stage: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {stage}", file=sys.stderr, flush=True)

    work = Path(tempfile.mkdtemp(dir=folder, prefix=".tools-"))
    found: list[tuple[Placed, int]] = []
    try:
        with interruptible():
            synthesize(design.board, design, work, progress)
            for number in range(seed, seed + attempts):
                placed = place_and_route(design.board, design, work, number, progress)
                found.append((placed, number))
                if not NEARLY * placed.clock <= placed.fmax < placed.clock:
                    break
                progress(f"{placed.fmax / 1e6:.2f} MHz with seed {number}, too slow")
    finally:
        for log in ("tools.log", f"{NAME}.tim"):
            if (work / log).is_file():
                shutil.copy(work / log, folder / log)
        shutil.rmtree(work, ignore_errors=True)
    return max(found, key=lambda one: one[0].fmax)
