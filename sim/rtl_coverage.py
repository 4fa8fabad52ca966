"""Which lines of the core's Verilog its regression reaches, and which bits it changes (docs/results/coverage.md).

The course of the core's bench (:mod:`sim.bench.course`) goes through a model that Verilator has made count. What cannot
be covered is told from what is not: an empty branch that Yosys' writer adds, a bit that is constant in the flat
netlist.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.errors import SvpgError
from hdl.core import Core
from hdl.verilog import intermediate
from sim.bench.course import Course
from sim.build import write_verilog
from sim.model import DESIGN, VerilatedModel, design_key, library
from sim.netlist import Netlist, flattened, is_wire

LINES, TOGGLES = "branches", "toggles"
"""Kinds of points: a block, branch or choice that has been taken; a bit that has risen, or fallen."""

RISES, FALLS = "0->1", "1->0"

_POINT = re.compile(r"C '(?P<fields>.*)' (?P<count>\d+)")
_ESCAPED = re.compile(r"__0([0-9a-fA-F]{2})")
_BIT = re.compile(r"(?P<signal>.*?)(?:\[(?P<bit>\d+)\])?:(?P<edge>0->1|1->0)")
_NUMBERED = re.compile(r"\$\d")
_EMPTY = re.compile(r"if \(\\\$auto\$verilog_backend\S* \) begin end")


@dataclass(frozen=True)
class Point:
    """Something that can be covered.

    Parameters
    ----------
    kind: :data:`LINES` or :data:`TOGGLES`.
    module: dotted place in the core; empty for the core itself.
    what: of a branch: its line of Verilog and which way; of a toggle: the signal.
    bit: of the signal; -1 for a branch.
    edge: :data:`RISES` or :data:`FALLS`; empty for a branch.
    count: how often.
    """

    kind: str
    module: str
    what: str
    bit: int
    edge: str
    count: int


def decoded(name: str) -> str:
    """A name as Verilog has it; Verilator writes other characters, and doubled underscores, as ``__0`` and a code."""
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), name)


def read_points(text: str, verilog: str) -> Iterator[Point]:
    """Points of a coverage file within the design.

    Parameters
    ----------
    text: of the file.
    verilog: the design it is about.

    Raises
    ------
    SvpgError: it is no such file.
    """
    lines = text.splitlines()
    if not lines or not lines[0].startswith("# SystemC::Coverage"):
        raise SvpgError("this is no coverage file of Verilator; run svpg coverage again")
    source = verilog.splitlines()
    for number, line in enumerate(lines[1:], 2):
        match = _POINT.fullmatch(line)
        fields = dict(field.split("\x02", 1) for field in match["fields"].split("\x01")[1:]) if match else {}
        if match is None or not {"h", "t", "o", "l"} <= fields.keys():
            raise SvpgError(f"line {number} of the coverage file is broken; run svpg coverage again")
        place = decoded(fields["h"]).split(".")
        if DESIGN not in place:
            continue
        module, count = ".".join(place[place.index(DESIGN) + 1 :]), int(match["count"])
        if fields["t"] == "toggle":
            bit = _BIT.fullmatch(decoded(fields["o"]))
            if bit is None:
                raise SvpgError(f"line {number} of the coverage file is broken; run svpg coverage again")
            yield Point(TOGGLES, module, bit["signal"], int(bit["bit"] or 0), bit["edge"], count)
        else:
            what = f"{source[int(fields['l']) - 1].strip()} ({fields['o']})"
            yield Point(LINES, module, what, -1, "", count)


class Constants:
    """Bits that cannot change, by the flat netlist of the design.

    Parameters
    ----------
    netlist: flat; Yosys has worked out what is constant.
    """

    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._driver = netlist.connections()

    def __contains__(self, point: Point) -> bool:
        name = f"\\{point.module}.{point.what}" if point.module else f"\\{point.what}"
        width = self._netlist.widths.get(name)
        if width is None or point.bit >= width:
            # Nothing reads it.
            return True
        bit = f"{name} [{point.bit}]"
        while is_wire(bit) and bit in self._driver:
            bit = self._driver[bit]
        return not is_wire(bit)


@dataclass(frozen=True)
class Coverage:
    """What a course covers of a core.

    Parameters
    ----------
    points: all that count.
    left_out: how many do not, by reason.
    cycles: of the course.
    """

    points: list[Point]
    left_out: Mapping[str, int]
    cycles: int

    def of(self, kind: str, module: str | None = None) -> list[Point]:
        """Points of a kind, of one module if told."""
        return [point for point in self.points if point.kind == kind and module in (None, point.module)]

    @property
    def holes(self) -> list[Point]:
        """Points that are not covered."""
        return [point for point in self.points if not point.count]


EXPRESSION, STORED, CONSTANT, EMPTY = (
    "changes of intermediate results without a name in the source",
    "changes of bits in the rows of memories and tables; their ports count",
    "changes of bits that are constant in the netlist, or that nothing reads",
    "empty branches that the writer of Verilog adds for simulators",
)
"""Why points do not count."""


def counted(
    points: Iterable[Point], constants: Constants, memories: frozenset[str]
) -> tuple[list[Point], Counter[str]]:
    """Points that count, and how many do not by reason.

    Parameters
    ----------
    memories: their names, dotted.
    """
    kept, left_out = [], Counter[str]()
    for point in points:
        array = f"{point.module}.{point.what.partition('[')[0]}".lstrip(".")
        if point.kind == LINES:
            reason = EMPTY if _EMPTY.search(point.what) else ""
        elif _NUMBERED.match(point.what):
            reason = EXPRESSION
        elif array in memories:
            reason = STORED
        else:
            reason = CONSTANT if point in constants else ""
        if reason:
            left_out[reason] += 1
        else:
            kept.append(point)
    return kept, left_out


def measure(course: Course, progress: Callable[[], object] = lambda: None) -> Coverage:
    """Send a course through a core that counts.

    Parameters
    ----------
    progress: called after every step.

    Raises
    ------
    SvpgError: a tool is missing.
    """
    core = Core(course.config, course.options)
    folder = library(design_key(core), lambda path: write_verilog(core, path, DESIGN), coverage=True)
    model = VerilatedModel(folder)
    for number, step in enumerate(course.everything()):
        words = np.array([word for frame in step.frames for word in frame], dtype=np.uint32)
        model.ragged, model.seed = step.ragged, number
        if step.cut is None:
            model.exchange(words, len(step.frames))
        else:
            model.exchange_for(words, step.cut)
            model.reset()
        progress()
    with tempfile.TemporaryDirectory(prefix="svpg-coverage-") as temporary:
        path = Path(temporary) / "coverage.dat"
        model.write_coverage(path)
        text = path.read_text(errors="surrogateescape")
    netlist = flattened(intermediate(Core(course.config, course.options), DESIGN))
    points, left_out = counted(
        read_points(text, (folder / f"{DESIGN}.v").read_text()), Constants(netlist), netlist.memories()
    )
    return Coverage(points, left_out, model.cycles)
