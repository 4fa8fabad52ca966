"""``svpg study``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from golden.errors import SvpgError
from host.commands.report import Report

KEPT = ("doom", "robots")
"""Studies that take hours: their journals lie beside the reports, part of the repository, for others to go on."""


def run(arguments: argparse.Namespace) -> Report:
    """``svpg study``: many runs, a table and a picture; an interrupted study goes on where it was."""
    module = importlib.import_module(f"host.study.{arguments.name}")
    journal = arguments.journal or _journal(arguments.out, arguments.name, arguments.quick)
    if not arguments.out.is_dir():
        raise SvpgError(f"{arguments.out}: no such folder; make it first or choose another --out")
    seeds = arguments.seeds or (1 if arguments.quick else module.SEEDS)
    table = module.run(arguments.out, journal, seeds, arguments.quick, arguments.workers)
    data = {"study": arguments.name, "report": str(arguments.out / f"{arguments.name}.md"), "journal": str(journal)}
    return Report(data, table)


def _journal(out: Path, name: str, quick: bool) -> Path:
    if quick:
        return Path("build/study") / f"{name}-quick.jsonl"
    return (out / "journals" if name in KEPT else Path("build/study")) / f"{name}.jsonl"
