"""The tables of docs/results/mutation.md."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from golden.errors import SvpgError
from sim.mutants import Mutant
from sim.mutation import CHANGES, LONGER, Outcome, Result

NEVER = "its bit never had another value than it should"


def read_notes(path: Path) -> dict[str, dict[str, str]]:
    """Why survivors survive, by digest of the netlist and :attr:`sim.mutants.Mutant.key`; empty without such a file.

    Raises
    ------
    SvpgError: the file is not readable.
    """
    if not path.is_file():
        return {}
    try:
        return {str(netlist): dict(notes) for netlist, notes in tomllib.loads(path.read_text()).items()}
    except (OSError, ValueError) as error:
        raise SvpgError(f"{path}: not a readable file of notes ({error}); mend it or remove it") from error


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def place(mutant: Mutant) -> str:
    """Where a mutant sits, for people: port and bit of a cell, and the wire there if it has a name."""
    net = "" if "$" in mutant.net else f" (`{mutant.net.removeprefix(chr(92))}`)"
    return f"`{mutant.type} {mutant.port}[{mutant.bit}]`{net}"


def described(number: int, outcome: Outcome) -> list[object]:
    """Number, module, place and kind."""
    mutant = outcome.mutant
    return [number, mutant.module or "core", place(mutant), mutant.kind]


def summary_rows(results: Mapping[str, Result]) -> list[list[object]]:
    """A row for each device."""
    rows: list[list[object]] = []
    for name, result in results.items():
        by_time = sum(1 for outcome in result.killed if outcome.found and outcome.found.is_time)
        never = sum(1 for outcome in result.silent if not outcome.excited)
        rows.append(
            [
                *(name, len(result.outcomes), len(result.killed), by_time, len(result.missed)),
                *(len(result.silent), never, f"{100 * result.rate:.1f} %"),
                *(f"{result.cycles:,}", f"{result.longer_cycles:,}"),
            ]
        )
    return rows


SUMMARY = (
    *("device", "mutants", "killed", "by cycles alone", "missed"),
    *("silent", "of them never at work", "kill rate", "cycles of the course", "of the longer one"),
)
"""Columns of :func:`summary_rows`."""


def module_rows(results: Mapping[str, Result]) -> list[list[object]]:
    """Mutants and killed ones of each device by module."""
    modules = sorted({outcome.mutant.module for result in results.values() for outcome in result.outcomes})
    rows: list[list[object]] = []
    for module in modules:
        row: list[object] = [module or "core"]
        for result in results.values():
            here = [outcome for outcome in result.outcomes if outcome.mutant.module == module]
            row.append(f"{sum(1 for outcome in here if outcome.found)} of {len(here)}")
        rows.append(row)
    return rows


def why(outcome: Outcome) -> str:
    """Why a mutant survives."""
    if outcome.longer:
        reason = f"**missed**: the longer course finds it ({outcome.longer.part}, {outcome.longer.wrong})"
    elif outcome.changes:
        return f"**missed**: {outcome.note.removeprefix(CHANGES)}"
    elif not outcome.excited:
        reason = NEVER
    else:
        return outcome.note or "not explained yet"
    return f"{reason}; {outcome.note}" if outcome.note else reason


def report(results: Mapping[str, Result], devices: Mapping[str, str], command: str) -> str:
    """The whole document.

    Parameters
    ----------
    results: by name of the device.
    devices: what each device is.
    command: that makes it.
    """
    wrongs = Counter(
        (outcome.found.part, outcome.found.wrong)
        for result in results.values()
        for outcome in result.killed
        if outcome.found
    )
    parts = sorted({part for part, _ in wrongs})
    fields = sorted({wrong for _, wrong in wrongs}, key=lambda wrong: -sum(wrongs[part, wrong] for part in parts))
    sections = [
        "# Mutation check of the core",
        f"Regenerate with `{command}`.",
        TEXT,
        "\n".join(f"- **{name}**: {text}." for name, text in devices.items()),
        table(SUMMARY, summary_rows(results)),
        "## By module",
        table(["module", *(f"{name}: killed" for name in results)], module_rows(results)),
        "## What notices them first",
        table(
            ["wrong", *parts, "all"],
            [
                [wrong, *(wrongs[part, wrong] or "" for part in parts), sum(wrongs[part, wrong] for part in parts)]
                for wrong in fields
            ],
        ),
        "## Survivors",
        SURVIVORS,
    ]
    for name, result in results.items():
        rows = [
            [*described(number, outcome), why(outcome)]
            for number, outcome in enumerate(result.outcomes, 1)
            if not outcome.found
        ]
        sections += [f"### {name}", table(("number", "module", "place", "kind", "why"), rows) if rows else "None."]
    sections.append("## All mutants")
    for name, result in results.items():
        rows = [
            [*described(number, outcome), *((outcome.found.part, outcome.found.wrong) if outcome.found else ("–", "–"))]
            for number, outcome in enumerate(result.outcomes, 1)
        ]
        sections += [f"### {name}", table(("number", "module", "place", "kind", "killed in", "wrong"), rows)]
    return "\n\n".join(sections) + "\n"


TEXT = f"""\
Can the regression of the core fail? A mutant changes one bit at one port of one cell of the core's flat netlist (Yosys:
`proc`, `flatten`, `opt`, `wreduce`): the bit is inverted, stuck at zero or one, or swapped for its neighbour. Mutants
are drawn by seed, evenly over the modules, within a module evenly over its cells; clocks and bits that are constants
have none. All of them are in one compiled model, one at a time at work.

Each goes through the course of the core's bench (`sim/bench/course.py`: the frames that `tests/test_hdl_core.py` sends
by cocotb, word by word) until an answer is wrong. Every response word must be golden's; cycles and stalls, and the
cycles a batch of frames takes, those of the core without a mutant. A mutant that gives no answer is killed as well.

Survivors go through a course {LONGER} times as long with other random numbers. One that shows there is *missed*: it
changes behaviour and the regression lets it pass. So is one that was found to change behaviour by looking at it. The
others are *silent*: as far as {LONGER} times the regression can tell, they change nothing that is seen from outside.
The kill rate is killed / (killed + missed)."""

SURVIVORS = """\
Why each is not seen. Explanations belong to one netlist (`docs/results/mutation.toml`) and vanish when it changes."""
