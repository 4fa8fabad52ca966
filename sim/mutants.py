"""Mutants of a netlist: each changes one bit at one port of one cell.

All of them go into one netlist, selected by an input, so a model is compiled once and every mutant runs at full speed.
"""

from __future__ import annotations

import ctypes
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.errors import SvpgError
from golden.protocol import Words
from sim.model import End, VerilatedModel, library
from sim.netlist import OUTPUTS, Cell, Netlist, is_wire, verilog_of

HARNESS = Path(__file__).with_name("mutants.cpp")
"""The harness of a model with mutants."""

LINT_OFF = "".join(f"/* verilator lint_off {name} */\n" for name in ("UNOPTFLAT", "CASEOVERLAP"))
"""What Yosys' Verilog of a flat netlist cannot avoid: bits of a wire that follow from others of it, and its `casez`."""

SELECT_BITS = 16
"""Bits of the input that selects a mutant."""

KINDS = ("invert", "zero", "one", "swap")
"""What becomes of the bit: its inverse, a constant, or the bit above it in its port (for the highest, the lowest)."""

NOT_MUTATED = ("CLK", "WR_CLK", "RD_CLK", "Q")
"""Ports without mutants: clocks, and outputs of flip-flops, whose inputs and readers have some."""

PATIENCE = 20_000
"""Cycles without a transfer after which a mutant hangs; the longest decision here takes far fewer."""


@dataclass(frozen=True)
class Mutant:
    """One bit at one port of a cell.

    Parameters
    ----------
    cell: the name of the cell; type: what it is; module: where it comes from, dotted, empty for the top.
    port, bit: of the cell, 0 being the lowest.
    width: of the port.
    kind: one of :data:`KINDS`.
    net: the bit of a wire there.
    """

    cell: str
    type: str
    module: str
    port: str
    bit: int
    width: int
    kind: str
    net: str

    @property
    def key(self) -> str:
        """Its name within its netlist."""
        return f"{self.cell}.{self.port}[{self.bit}] {self.kind}"


def sites(netlist: Netlist) -> dict[str, list[tuple[Cell, str, int]]]:
    """Where mutants may sit, by module: cell, port, bit. Bits that are constants are none."""
    found = defaultdict(list)
    for cell in netlist.cells:
        for port, bits in cell.ports.items():
            if port in NOT_MUTATED or (port in OUTPUTS and not all(map(is_wire, bits))):
                continue
            places = [(cell, port, len(bits) - 1 - at) for at, bit in enumerate(bits) if is_wire(bit)]
            found[netlist.origin(cell)].extend(places)
    return found


def pick(netlist: Netlist, count: int, rng: random.Random) -> list[Mutant]:
    """Mutants spread evenly over the modules; within a module over its cells, then over the cell's ports and bits.

    No place is taken twice.

    Raises
    ------
    SvpgError: the netlist has not so many places.
    """
    modules: dict[str, dict[str, list[tuple[Cell, str, int]]]] = {}
    for module, places in sorted(sites(netlist).items()):
        cells = modules.setdefault(module, defaultdict(list))
        for place in places:
            cells[place[0].name].append(place)
    total = sum(len(places) for cells in modules.values() for places in cells.values())
    if count > total:
        raise SvpgError(f"{count} mutants do not fit into {total} places; ask for fewer")
    chosen: list[Mutant] = []
    while len(chosen) < count:
        for module in rng.sample(sorted(modules), len(modules)):
            if len(chosen) == count or not modules[module]:
                continue
            name = rng.choice(sorted(modules[module]))
            places = modules[module][name]
            port = rng.choice(sorted({port for _, port, _ in places}))
            cell, port, bit = rng.choice([place for place in places if place[1] == port])
            places.remove((cell, port, bit))
            if not places:
                del modules[module][name]
            bits = cell.ports[port]
            # A port of one bit has none to swap with.
            kind = rng.choice(KINDS if len(set(bits)) > 1 else KINDS[:-1])
            net = netlist.shown(bits[len(bits) - 1 - bit])
            chosen.append(Mutant(cell.name, cell.kind, module, port, bit, len(bits), kind, net))
    return chosen


def insert(netlist: Netlist, mutants: Sequence[Mutant]) -> str:
    """RTLIL of the netlist with all mutants, Nth selected by the value N + 1 of the new input ``mutant``.

    The new output ``excited`` tells whether the selected mutant's bit has differed from what it should be in a cycle.
    """
    cells = {cell.name: cell for cell in netlist.cells}
    at_port: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, mutant in enumerate(mutants):
        at_port[mutant.cell, mutant.port].append(number)
    wires = [
        f"  wire width {SELECT_BITS} input {netlist.last_port + 1} \\mutant",
        f"  wire output {netlist.last_port + 2} \\excited",
    ]
    added: list[str] = []
    changed: dict[int, str] = {}
    differences = []

    def wire(width: int = 1) -> str:
        """A new wire."""
        name = f"$mutation${len(wires)}"
        wires.append(f"  wire width {width} {name}")
        return name

    def gate(kind: str, parameters: dict[str, int], output: str = "Y", **ports: str) -> str:
        """A new cell with an output of one bit; returns the wire of it."""
        name = wire()
        added.append(f"  cell {kind} {name}$cell")
        added.extend(f"    parameter \\{key} {value}" for key, value in parameters.items())
        added.extend(f"    connect \\{port} {signal}" for port, signal in (ports | {output: name}).items())
        added.append("  end")
        return name

    def logic(kind: str, width: int, **ports: str) -> str:
        """A gate whose inputs are ``width`` wide, unsigned."""
        sizes = {f"{port}_{what}": width * (what == "WIDTH") for port in ports for what in ("WIDTH", "SIGNED")}
        return gate(kind, {**sizes, "Y_WIDTH": 1}, **ports)

    def mutated(bit: str, above: str, number: int) -> str:
        """A bit as the mutant of a number makes it, if it is selected."""
        match mutants[number].kind:
            case "invert":
                other = logic("$not", 1, A=bit)
            case "zero":
                other = "1'0"
            case "one":
                other = "1'1"
            case _:
                other = above
        selected = logic("$eq", SELECT_BITS, A="\\mutant", B=f"{SELECT_BITS}'{number + 1:0{SELECT_BITS}b}")
        result = gate("$mux", {"WIDTH": 1}, A=bit, B=other, S=selected)
        differences.append(logic("$xor", 1, A=bit, B=result))
        return result

    for (name, port), numbers in at_port.items():
        line, original = cells[name].lines[port], cells[name].ports[port]
        source = original
        if port in OUTPUTS:
            inner = wire(len(original))
            source = [f"{inner} [{bit}]" for bit in reversed(range(len(original)))]
        bits = list(source)
        for number in numbers:
            place = len(bits) - 1 - mutants[number].bit
            bits[place] = mutated(bits[place], source[place - 1], number)
        if port in OUTPUTS:
            changed[line] = f"    connect \\{port} {inner}"
            added.append(f"  connect {{ {' '.join(original)} }} {{ {' '.join(bits)} }}")
        else:
            changed[line] = f"    connect \\{port} {{ {' '.join(bits)} }}"

    sticky = wire()
    now = logic("$reduce_or", len(differences) + 1, A=f"{{ {sticky} {' '.join(differences)} }}")
    kept = gate("$dff", {"WIDTH": 1, "CLK_POLARITY": 1}, "Q", CLK="\\clk", D=now)
    added += [f"  connect {sticky} {kept}", f"  connect \\excited {sticky}"]
    return netlist.text(changed, wires, added)


class MutantModel(VerilatedModel):
    """A model with mutants, fresh, one of them at work.

    Parameters
    ----------
    folder: what :func:`compile_mutants` gave.
    number: of the mutant, 0 for none.
    """

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder, PATIENCE)
        self._code.svpg_select.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        self._code.svpg_excited.argtypes = (ctypes.c_void_p,)
        self._code.svpg_select(self._handle, number)
        self.reset()

    @property
    def excited(self) -> bool:
        """Whether the mutant has changed its bit in any cycle so far."""
        return bool(self._code.svpg_excited(self._handle))

    def attempt(self, words: Words, responses: int, limit: int) -> tuple[End, Words]:
        """As :meth:`exchange`, for ``limit`` cycles at most; how it ended is an answer, too."""
        end, _, received = self._exchange(words, responses, limit)
        return end, received


def compile_mutants(netlist: Netlist, mutants: Sequence[Mutant]) -> Path:
    """Compile a netlist with its mutants; see :func:`sim.model.library`."""
    text = insert(netlist, mutants)

    def write(path: Path) -> None:
        path.write_text(LINT_OFF + verilog_of(text))

    return library(text, write, harness=(HARNESS,))
