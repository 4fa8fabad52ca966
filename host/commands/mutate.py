"""``svpg mutate``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm import tqdm

from golden.errors import SvpgError
from golden.files import write_atomically
from host.commands.report import Report, check_seed
from sim.bench.course import LEARNING, PENDULUM, SPIKE_LEARNING, SPIKING, WIDE
from sim.mutation import Result, check, explained
from sim.mutation_report import SUMMARY, read_notes, report, summary_rows, table

COURSES = {
    "wide": WIDE,
    "pendulum": PENDULUM,
    "learning": LEARNING,
    "spiking": SPIKING,
    "spike-learning": SPIKE_LEARNING,
}
"""Devices whose cores are mutated."""

DEVICES = {
    "wide": "a small device with rows of several words, values of two words, odd sizes and a uniform start",
    "pendulum": "the pendulum's device, its trained net included",
    "learning": "the small device with all rules and optimisers",
    "spiking": "the small device in spike mode",
    "spike-learning": "a small device in spike mode whose observations spike, with both rules and all optimisers",
}
"""What they are."""

ENOUGH = 0.95
"""Kill rate below which the check has failed."""


def run(arguments: argparse.Namespace) -> Report:
    """``svpg mutate``: does the regression of the core notice faults in its gates?"""
    check_seed(arguments.seed)
    if not arguments.out.is_dir():
        raise SvpgError(f"{arguments.out}: no such folder; make it first or choose another --out")
    names = arguments.device or list(COURSES)
    notes = read_notes(arguments.out / "mutation.toml")
    results: dict[str, Result] = {}
    with tqdm(total=len(names) * arguments.mutants, unit="mutant", disable=not sys.stderr.isatty()) as bar:
        for name in names:
            result = check(COURSES[name], arguments.mutants, arguments.seed, bar.update)
            results[name] = explained(result, notes.get(result.netlist, {}))
    options = "".join(f" --device {name}" for name in arguments.device or ())
    command = f"svpg mutate --mutants {arguments.mutants} --seed {arguments.seed}{options}"
    text = report(results, {name: DEVICES[name] for name in names}, command)
    path = arguments.out / "mutation.md"
    write_atomically(path, lambda stream: stream.write(text.encode()))
    data: dict[str, Any] = {
        "report": str(path),
        "devices": {
            name: {
                "netlist": result.netlist,
                "mutants": len(result.outcomes),
                "killed": len(result.killed),
                "missed": len(result.missed),
                "silent": len(result.silent),
                "kill_rate": result.rate,
            }
            for name, result in results.items()
        },
    }
    good = all(result.rate >= ENOUGH for result in results.values())
    return Report(data, table(SUMMARY, summary_rows(results)), status=0 if good else 1)
