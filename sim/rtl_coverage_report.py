"""The tables of docs/results/coverage.md."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from golden.errors import SvpgError
from sim.mutation_report import table
from sim.rtl_coverage import CONSTANT, EMPTY, EXPRESSION, LINES, STORED, TOGGLES, Coverage, Point

KINDS = (LINES, TOGGLES)

_NUMBER = re.compile(r"(?<=\w)\$\d+")

UNEXPLAINED = "**not explained**"


@dataclass(frozen=True)
class Note:
    """Why some points are not covered.

    Parameters
    ----------
    module, what: expressions that module and name (:class:`sim.rtl_coverage.Point`) match as a whole; the numbers that
        tell signals of one name apart, ``$12``, are left out.
    why: for people.
    devices: names of those that it is about; empty: all.
    """

    module: str
    what: str
    why: str
    devices: tuple[str, ...] = ()

    def concerns(self, device: str) -> bool:
        """Whether it is about a device."""
        return not self.devices or device in self.devices

    def fits(self, point: Point) -> bool:
        """Whether it is about a point."""
        name = _NUMBER.sub("", point.what) if point.kind == TOGGLES else point.what
        return bool(re.fullmatch(self.module, point.module) and re.fullmatch(self.what, name))


def read_notes(path: Path) -> dict[str, list[Note]]:
    """Notes by kind of point; none without such a file.

    Raises
    ------
    SvpgError: the file is not readable, or an expression is none.
    """
    if not path.is_file():
        return {}
    try:
        notes = {
            kind: [
                Note(entry["module"], entry["what"], entry["why"], tuple(entry.get("devices", ()))) for entry in entries
            ]
            for kind, entries in tomllib.loads(path.read_text()).items()
        }
        for note in (note for entries in notes.values() for note in entries):
            re.compile(note.module), re.compile(note.what)
    except (OSError, ValueError, KeyError, TypeError, re.error) as error:
        raise SvpgError(f"{path}: not a readable file of notes ({error}); mend it or remove it") from error
    return notes


def about(notes: Mapping[str, list[Note]], device: str) -> dict[str, list[Note]]:
    """Notes that are about a device."""
    return {kind: [note for note in entries if note.concerns(device)] for kind, entries in notes.items()}


def reason(point: Point, notes: Mapping[str, list[Note]]) -> str:
    """Why a point is not covered: the first note that fits."""
    return next((note.why for note in notes.get(point.kind, ()) if note.fits(point)), UNEXPLAINED)


def unexplained(coverage: Coverage, notes: Mapping[str, list[Note]]) -> list[Point]:
    """Holes that no note is about."""
    return [point for point in coverage.holes if reason(point, notes) == UNEXPLAINED]


def unused(results: Mapping[str, Coverage], notes: Mapping[str, list[Note]]) -> list[Note]:
    """Notes that are about no hole."""
    holes = [(name, point) for name, coverage in results.items() for point in coverage.holes]
    return [
        note
        for kind, entries in notes.items()
        for note in entries
        if not any(note.concerns(name) and point.kind == kind and note.fits(point) for name, point in holes)
    ]


def share(points: list[Point]) -> str:
    """How many of some points are covered."""
    if not points:
        return "–"
    covered = sum(1 for point in points if point.count)
    return f"{covered:,} of {len(points):,}, {100 * covered / len(points):.1f} %"


SUMMARY = ("device", "branches", "toggles", "not covered", "of them explained", "cycles")
"""Columns of :func:`summary_rows`."""


def summary_rows(results: Mapping[str, Coverage], notes: Mapping[str, list[Note]]) -> list[list[object]]:
    """A row for each device."""
    return [
        [
            name,
            share(coverage.of(LINES)),
            share(coverage.of(TOGGLES)),
            f"{len(coverage.holes):,}",
            f"{len(coverage.holes) - len(unexplained(coverage, about(notes, name))):,}",
            f"{coverage.cycles:,}",
        ]
        for name, coverage in results.items()
    ]


def module_rows(results: Mapping[str, Coverage]) -> list[list[object]]:
    """Branches and toggles of each device by module."""
    modules = sorted({point.module for coverage in results.values() for point in coverage.points})
    return [
        [module or "core", *(share(coverage.of(kind, module)) for coverage in results.values() for kind in KINDS)]
        for module in modules
    ]


def hole_rows(coverage: Coverage, notes: Mapping[str, list[Note]]) -> list[list[object]]:
    """Holes by module and name: bits of a signal, or how many such branches."""
    holes: dict[tuple[str, str, str], list[Point]] = {}
    for point in coverage.holes:
        holes.setdefault((point.module, point.kind, point.what), []).append(point)
    return [
        [module or "core", f"`{what}`", where(points), reason(points[0], notes)]
        for (module, _, what), points in sorted(holes.items())
    ]


def where(points: list[Point]) -> str:
    """Bits and directions of a signal's holes; how many, of branches."""
    if points[0].kind == LINES:
        return f"{len(points)} branch{'es' if len(points) > 1 else ''}"
    bits = sorted({point.bit for point in points})
    ranges: list[list[int]] = []
    for bit in bits:
        if ranges and bit == ranges[-1][1] + 1:
            ranges[-1][1] = bit
        else:
            ranges.append([bit, bit])
    shown = ", ".join(f"{low}" if low == high else f"{low}–{high}" for low, high in ranges)
    edges = {point.edge for point in points}
    only = f" {edges.pop().replace('->', '→')}" if len(edges) == 1 else ""
    return f"bit{'s' if len(bits) > 1 else ''} {shown}{only}"


def left_out_rows(results: Mapping[str, Coverage]) -> list[list[object]]:
    """How many points of each device do not count, by reason."""
    return [
        [why, *(f"{Counter(coverage.left_out)[why]:,}" for coverage in results.values())]
        for why in (EXPRESSION, STORED, CONSTANT, EMPTY)
    ]


def report(
    results: Mapping[str, Coverage], devices: Mapping[str, str], notes: Mapping[str, list[Note]], command: str
) -> str:
    """The whole document.

    Parameters
    ----------
    results: by name of the device.
    devices: what each device is.
    notes: why points are not covered.
    command: that makes it.
    """

    def head(first: str, kinds: Iterable[str]) -> list[str]:
        return [first, *(f"{name}{kind}" for name in results for kind in kinds)]

    sections = [
        "# Coverage of the core's Verilog",
        f"Regenerate with `{command}`.",
        TEXT,
        "\n".join(f"- **{name}**: {text}." for name, text in devices.items()),
        table(SUMMARY, summary_rows(results, notes)),
        "## By module",
        table(head("module", (": branches", ": toggles")), module_rows(results)),
        "## What does not count",
        table(head("what", ("",)), left_out_rows(results)),
        "## Holes",
        HOLES,
    ]
    for name, coverage in results.items():
        rows = hole_rows(coverage, about(notes, name))
        sections += [f"### {name}", table(("module", "what", "where", "why"), rows) if rows else "None."]
    return "\n\n".join(sections) + "\n"


TEXT = """\
What of the generated Verilog does the regression of the core touch? The course of the core's bench
(`sim/bench/course.py`, the frames that `tests/test_hdl_core.py` sends) goes through a model in which Verilator counts
how often every block, branch and choice is taken (*branches*), and how often every bit of every signal rises and falls
(*toggles*, two for each bit). All signals count that have a name in the source, in each module in which they appear,
ports included. That something was touched does not say that anybody looked: that is what the
[mutation check](mutation.md) measures."""

HOLES = """\
Branches are given by their line of Verilog and the way that was never gone. Reasons are in
`docs/results/coverage.toml`."""
