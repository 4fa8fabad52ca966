"""``svpg pack``."""

from __future__ import annotations

import argparse

from host.commands.report import Report, check_writable, two_columns
from host.packed import pack
from host.run import RunFolder


def run(arguments: argparse.Namespace) -> Report:
    """``svpg pack``: the best parameters of a run, its settings and its centring, in one small file."""
    check_writable(arguments.out)
    folder, config = RunFolder.open(arguments.run)
    pack(config, folder.parameters(), arguments.out)
    data = {"agent": str(arguments.out), "task": config.task, "bytes": arguments.out.stat().st_size}
    return Report(data, two_columns(data))
