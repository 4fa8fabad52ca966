"""``svpg build``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from golden.errors import SvpgError
from hdl.boards.catalogue import get_board
from host.board_build import build_board
from host.board_subject import get_wanted
from host.commands.report import Report, two_columns

PROGRAMMER = "openFPGALoader"


def run(arguments: argparse.Namespace) -> Report:
    """``svpg build``: a bitstream for a board, and what is in it."""
    board = get_board(arguments.board)
    programmer = _programmer() if arguments.program else ""
    wanted = get_wanted(arguments.target, arguments.assignments, arguments.learn)
    plan = wanted.fitting(board)
    folder: Path = arguments.out or Path("build") / f"{board.name}-{wanted.subject.task.name}"
    clock = round(arguments.clock * 1e6) or board.clock
    built = build_board(wanted, plan, folder, clock, arguments.seed, arguments.attempts)
    data = built.data
    if built.problem:
        return Report({**data, "error": built.problem}, f"{board.name}: {built.problem}", status=1)
    if programmer:
        command = [programmer, "--board", board.programmer, data["bitstream"]]
        if subprocess.run(command).returncode:
            raise SvpgError(f"{' '.join(command)} failed; connect the board and run it again")
    rows = {
        "board": board.title,
        "bitstream": data["bitstream"],
        "clock": f"{data['clock_mhz']} MHz, {data['fmax_mhz']} MHz possible",
        "LUTs": f"{data['luts']:,} of {board.resources.luts:,}",
        "multipliers": f"{data['multipliers']} of {board.resources.multipliers}",
        "block memory": f"{data['bram_kbit']:,} of {board.resources.block_rams * board.family.block_kbit:,} kbit",
        "decision": f"{data['cycles_per_decision']} cycles, {data['us_per_decision']} µs",
        **{
            f"sample, {rule}": f"about {cycles} cycles, {data['us_per_sample'][rule]} µs"
            for rule, cycles in data["cycles_per_sample"].items()
        },
        "report": str(folder / "report.md"),
    }
    return Report(data, two_columns(rows))


def _programmer() -> str:
    found = shutil.which(PROGRAMMER)
    if found is None:
        raise SvpgError(
            f"{PROGRAMMER} is missing; run: sudo apt-get install -y openfpgaloader, or leave --program out and take "
            "the bitstream to the board yourself"
        )
    return found
