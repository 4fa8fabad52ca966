"""``svpg study``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from golden.errors import SvpgError
from host.commands.report import Report


def run(arguments: argparse.Namespace) -> Report:
    """``svpg study``: many runs, a table and a picture; an interrupted study goes on where it was."""
    module = importlib.import_module(f"host.study.{arguments.name}")
    suffix = "-quick" if arguments.quick else ""
    journal = arguments.journal or Path("build/study") / f"{arguments.name}{suffix}.jsonl"
    if not arguments.out.is_dir():
        raise SvpgError(f"{arguments.out}: no such folder; make it first or choose another --out")
    seeds = arguments.seeds or (1 if arguments.quick else module.SEEDS)
    table = module.run(arguments.out, journal, seeds, arguments.quick, arguments.workers)
    data = {"study": arguments.name, "report": str(arguments.out / f"{arguments.name}.md"), "journal": str(journal)}
    return Report(data, table)
