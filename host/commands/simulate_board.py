"""``svpg simulate-board``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from golden.errors import SvpgError
from hdl.boards.catalogue import get_board
from hdl.boards.design import divisors
from host.board_subject import get_wanted
from host.commands.report import Report, check_writable, two_columns
from host.interrupts import interruptible
from sim.board import SimulatedBoard


def run(arguments: argparse.Namespace) -> Report:
    """``svpg simulate-board``: the board that ``svpg build`` would make, behind a port, until it is interrupted."""
    board = get_board(arguments.board)
    if arguments.at is not None:
        check_writable(arguments.at)
    wanted = get_wanted(arguments.target, arguments.assignments, arguments.learn)
    plan = wanted.fitting(board)
    frequency = round(divisors(board, round(arguments.clock * 1e6) or board.clock).frequency)
    simulated = SimulatedBoard(plan.config, plan.options, frequency, board.baud)
    with simulated, interruptible(), _named(arguments.at, simulated.path) as port:
        data = {
            "board": board.name,
            "port": str(port),
            "baud": board.baud,
            "clock_mhz": frequency / 1e6,
            "lanes": plan.config.lanes,
            "rules": sorted(plan.options.abilities.rules),
            "optimisers": sorted(plan.options.abilities.optimisers),
        }
        print(json.dumps(data) if arguments.json else two_columns(data), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            simulated.wait()
        data["cycles"] = simulated.cycles
    return Report(data, two_columns({"simulated": f"{data['cycles']} cycles"}))


@contextlib.contextmanager
def _named(name: Path | None, path: str) -> Iterator[str | Path]:
    """A port's name: its own, or that of a symbolic link to it, which goes away in the end.

    Raises
    ------
    SvpgError: there is something of that name that is no symbolic link.
    """
    if name is None:
        yield path
        return
    if name.exists() and not name.is_symlink():
        raise SvpgError(f"{name}: there already; choose another name with --at, or remove it")
    # By way of another name, so that nobody finds half of it.
    with tempfile.TemporaryDirectory(dir=name.parent, prefix=".port-") as folder:
        link = Path(folder) / name.name
        link.symlink_to(path)
        os.replace(link, name)
    try:
        yield name
    finally:
        if name.is_symlink() and os.readlink(name) == path:
            name.unlink()
