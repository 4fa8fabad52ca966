"""``svpg coverage``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from golden.errors import SvpgError
from golden.files import write_atomically
from host.commands.mutate import COURSES, DEVICES
from host.commands.report import Report
from sim.mutation_report import table
from sim.rtl_coverage import LINES, TOGGLES, Coverage, measure
from sim.rtl_coverage_report import SUMMARY, about, read_notes, report, summary_rows, unexplained, unused


def run(arguments: argparse.Namespace) -> Report:
    """``svpg coverage``: what of the core's Verilog does its regression touch?"""
    if not arguments.out.is_dir():
        raise SvpgError(f"{arguments.out}: no such folder; make it first or choose another --out")
    names = arguments.device or list(COURSES)
    notes = read_notes(arguments.out / "coverage.toml")
    results: dict[str, Coverage] = {}
    with tqdm(unit="step", disable=not sys.stderr.isatty()) as bar:
        for name in names:
            bar.set_description(name)
            results[name] = measure(COURSES[name], bar.update)
    options = "".join(f" --device {name}" for name in arguments.device or ())
    text = report(results, {name: DEVICES[name] for name in names}, notes, f"svpg coverage{options}")
    path = arguments.out / "coverage.md"
    write_atomically(path, lambda stream: stream.write(text.encode()))
    holes = {name: unexplained(coverage, about(notes, name)) for name, coverage in results.items()}
    data: dict[str, Any] = {
        "report": str(path),
        "devices": {
            name: {
                kind: {
                    "points": len(coverage.of(kind)),
                    "covered": sum(1 for point in coverage.of(kind) if point.count),
                    "unexplained": sum(1 for point in holes[name] if point.kind == kind),
                }
                for kind in (LINES, TOGGLES)
            }
            for name, coverage in results.items()
        },
    }
    lines = [table(SUMMARY, summary_rows(results, notes))]
    # Notes on devices that were not measured are about nothing here.
    idle = unused(results, notes) if set(names) == set(COURSES) else []
    lines += [f"coverage.toml: no hole matches {note.module!r}, {note.what!r}; remove the note" for note in idle]
    open_holes = sum(len(points) for points in holes.values())
    if open_holes:
        lines.append(f"{open_holes} points are neither covered nor explained; see {path}")
    return Report(data, "\n".join(lines), status=1 if open_holes or idle else 0)
