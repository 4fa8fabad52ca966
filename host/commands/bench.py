"""``svpg bench``."""

from __future__ import annotations

import argparse

from host.bench import run_benchmarks
from host.commands.report import Report, two_columns


def run(arguments: argparse.Namespace) -> Report:
    """``svpg bench``: measured speeds."""
    results = run_benchmarks(arguments.selection, arguments.quick, arguments.mode)
    return Report(results, two_columns({item["name"]: f"{item['value']:.4g} {item['unit']}" for item in results}))
