"""The flat netlist of a component: cells and wires, as Yosys writes them in RTLIL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.lib import wiring

from sim.build import TOP, digest

FLATTEN = "proc; memory_collect; flatten; opt; wreduce; opt_clean"
"""Yosys passes from Amaranth's RTLIL to one flat module without dead or doubled logic."""

OUTPUTS = ("Y", "Q", "RD_DATA")
"""Ports that drive."""

_TOKEN = re.compile(r"\{|\}|\[(\d+)(?::(\d+))?\]|(\d+)'([01xzm-]*)|([\\$]\S+)|(-?\d+)")

_CONNECTION = re.compile(r"  connect (?P<left>(?:\{[^}]*\}|[\\$]\S+)(?: \[[\d:]+\])*) (?P<right>.*)")

_WIRE = re.compile(r"  wire(?P<options>.*) (?P<name>[\\$]\S+)$")


def yosys(script: str) -> str:
    """What Amaranth's own Yosys prints when it runs a script."""
    program = find_yosys(lambda version: version >= (0, 40))
    return program.run(["-q", "-"], script, ignore_warnings=True)


@dataclass
class Cell:
    """A cell.

    Parameters
    ----------
    kind: ``$add``, ``$sdffe``, …
    name: with the modules that were flattened.
    ports: each as bits, most significant first: ``wire [i]`` or ``1'digit``.
    lines: where in the text each port is connected.
    """

    kind: str
    name: str
    ports: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def is_wire(bit: str) -> bool:
    """Whether a bit is one of a wire, not a constant."""
    return bit[0] in "\\$"


class Netlist:
    """A flat module as text, with its cells and wires found in it.

    Parameters
    ----------
    text: RTLIL with one module, as :func:`flat_netlist` makes it.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.widths: dict[str, int] = {}
        self.cells: list[Cell] = []
        self.end = max(number for number, line in enumerate(self.lines) if line == "end")
        self.last_port = 0
        for number, line in enumerate(self.lines):
            if wire := _WIRE.match(line):
                width = re.search(r" width (\d+)", wire["options"])
                self.widths[wire["name"]] = int(width[1]) if width else 1
                if port := re.search(r" (?:input|output) (\d+)", wire["options"]):
                    self.last_port = max(self.last_port, int(port[1]))
            elif line.startswith("  cell "):
                _, kind, name = line.split()
                self.cells.append(Cell(kind, name))
            elif line.startswith("    connect "):
                self.cells[-1].lines[line.split()[1][1:]] = number
        for cell in self.cells:
            cell.ports = {port: list(self._bits(self.lines[at].split(None, 2)[2])) for port, at in cell.lines.items()}
        self.modules = sorted(cell.name[1:].replace("\\", "") for cell in self.cells if cell.kind == "$scopeinfo")

    @property
    def digest(self) -> str:
        """A name for its content."""
        return digest(*self.lines)

    def _bits(self, signal: str) -> Iterator[str]:
        """The bits of a signal, most significant first; only wires have slices, as Yosys writes it."""
        parts: list[list[str]] = []
        for token in _TOKEN.finditer(signal):
            high, low, count, digits, name, number = token.groups()
            if high is not None:
                upper, lower, whole = int(high), int(low or high), parts[-1]
                parts[-1] = whole[len(whole) - 1 - upper : len(whole) - lower]
            elif digits is not None:
                # Leading digits that are all the same may be left out.
                missing = digits[0] if digits[0] in "xz" else "0"
                parts.append([f"1'{digit}" for digit in digits.rjust(int(count), missing)])
            elif number is not None:
                parts.append([f"1'{digit}" for digit in f"{int(number) % (1 << 32):032b}"])
            elif name is not None:
                parts.append([f"{name} [{i}]" for i in reversed(range(self.widths[name]))])
        for part in parts:
            yield from part

    def connections(self) -> dict[str, str]:
        """What bits of wires are connected to without a cell: other bits, or constants."""
        sides = (_CONNECTION.fullmatch(line) for line in self.lines)
        return {
            left: right
            for side in sides
            if side
            for left, right in zip(self._bits(side["left"]), self._bits(side["right"]), strict=True)
        }

    def memories(self) -> frozenset[str]:
        """Names of the memories, dotted."""
        return frozenset(cell.name.replace("\\", "") for cell in self.cells if cell.kind == "$mem_v2")

    def shown(self, bit: str) -> str:
        """A bit of a wire, without an index if it has no other."""
        wire = bit.split(" ")[0]
        return wire if self.widths[wire] == 1 else bit

    def origin(self, cell: Cell) -> str:
        """The module a cell comes from, dotted; empty for the top."""
        outputs = [bits[0] for port, bits in cell.ports.items() if port in OUTPUTS]
        inputs = [bit for port, bits in cell.ports.items() if port not in OUTPUTS for bit in bits]
        for name in (cell.name, *outputs, *inputs):
            # Names that begin with $auto are those of Yosys' own, and tell nothing.
            if is_wire(name) and not name.startswith("$auto"):
                plain = name.removeprefix("$flatten").replace("\\", "").split(" ")[0]
                inside = [module for module in self.modules if plain.startswith(f"{module}.")]
                return max(inside, key=len, default="")
        return ""

    def text(self, changed: dict[int, str], wires: Iterable[str], cells: Iterable[str]) -> str:
        """The netlist with some lines replaced, some wires added at its beginning and some cells at its end."""
        lines = [changed.get(number, line) for number, line in enumerate(self.lines)]
        first = next(number for number, line in enumerate(lines) if line.startswith("module ")) + 1
        return "\n".join([*lines[:first], *wires, *lines[first : self.end], *cells, *lines[self.end :], ""])


def flat_netlist(component: wiring.Component) -> Netlist:
    """Flatten a component; memories stay memories."""
    return flattened(rtlil.convert(component, name=TOP, emit_src=False))


def flattened(design: str) -> Netlist:
    """Flatten RTLIL of several modules."""
    return Netlist(yosys(f"read_rtlil <<rtlil\n{design}\nrtlil\n{FLATTEN}\nwrite_rtlil\n"))


def verilog_of(text: str) -> str:
    """RTLIL of a flat module as Verilog."""
    return yosys(f"read_rtlil <<rtlil\n{text}\nrtlil\nwrite_verilog -norename -noattr\n")
