"""Registers beside the multipliers and block memories of an ECP5 become those inside of them.

A MULT18X18D has registers at its operands and at its product (Lattice TN1267), a block memory has one behind what it
shows (Lattice TN1264), and Yosys leaves them unused. Those of the lanes, left outside, are thousands, and the wires to
and from them are the longest of a wide build.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MULTIPLIER, REGISTER = "MULT18X18D", "TRELLIS_FF"

OPERANDS = {"A": [f"A{bit}" for bit in range(18)], "B": [f"B{bit}" for bit in range(18)]}
PRODUCT = [f"P{bit}" for bit in range(36)]

MEMORY, WIDEST = "DP16KD", 36


@dataclass(frozen=True)
class ReadPort:
    """A read port of a block memory: its data, its clock, the enable of its register, and the settings that use it."""

    data: tuple[str, ...]
    clock: str
    enable: str
    settings: tuple[str, ...]


READ_PORTS = [
    ReadPort(tuple(f"DO{side}{bit}" for bit in range(18)), f"CLK{side}", f"OCE{side}", (f"REGMODE_{side}",))
    for side in "AB"
]
WIDE_PORT = ReadPort(READ_PORTS[1].data + READ_PORTS[0].data, "CLKB", "OCEB", ("REGMODE_A", "REGMODE_B"))
"""With words of :data:`WIDEST` bits, one port writes and the other reads."""

Bit = int | str
"""Number of a net, or a constant."""

Cell = dict[str, Any]

Wires = dict[str, list[Bit]]


def absorb_registers(module: Mapping[str, Any]) -> int:
    """Take registers into multipliers and block memories of a module of a netlist, as Yosys writes it for nextpnr.

    Taken are plain registers: without enable and reset, 0 at first. Both operands have their registers inside, or none
    has; a register that others read too stays for them as well. All data of a read port go through registers inside, or
    none.

    Parameters
    ----------
    module: changed in place.

    Returns
    -------
    Registers that are gone.
    """
    netlist = _Netlist(module)
    before = len(netlist.cells)
    # What is removed meanwhile are registers.
    for name, cell in list(netlist.cells.items()):
        if cell["type"] == MULTIPLIER:
            _absorb_multiplier(netlist, name)
        if cell["type"] == MEMORY:
            for port in [WIDE_PORT] if int(cell["parameters"]["DATA_WIDTH_A"], 2) == WIDEST else READ_PORTS:
                _absorb_read_port(netlist, cell, port)
    return before - len(netlist.cells)


def _absorb_read_port(netlist: _Netlist, cell: Cell, port: ReadPort) -> None:
    """Take the registers behind a read port of a block memory into it."""
    wires = cell["connections"]
    outputs = [name for name in port.data if netlist.readers[wires[name][0]]]
    found = [netlist.only_reader(wires[name][0]) for name in outputs]
    is_plain = wires[port.enable] == ["1"] and all(cell["parameters"][name] == "NOREG" for name in port.settings)
    if outputs and is_plain and all(register and _clock(register) == wires[port.clock][0] for register in found):
        cell["parameters"] |= dict.fromkeys(port.settings, "OUTREG")
        _show_registers(netlist, wires, outputs, found)


def _show_registers(netlist: _Netlist, wires: Wires, outputs: Sequence[str], registers: Sequence[Cell | None]) -> None:
    """Have ports that wrote to registers write to what these wrote to."""
    for port, register in zip(outputs, registers, strict=True):
        assert register is not None
        target = register["connections"]["Q"][0]
        netlist.remove(target)
        wires[port] = [target]


def _absorb_multiplier(netlist: _Netlist, name: str) -> None:
    """Take registers into one multiplier."""
    cell = netlist.cells[name]
    wires = cell["connections"]
    ports = [port for operand in OPERANDS.values() for port in operand if isinstance(wires[port][0], int)]
    operands = [netlist.source(wires[port][0]) for port in ports]
    outputs = [port for port in PRODUCT if netlist.readers[wires[port][0]]]
    products = [netlist.only_reader(wires[port][0]) for port in outputs]
    clocks = {_clock(register) for register in (*operands, *products) if register}
    if len(clocks) != 1:
        return
    taken = []
    if all(operands):
        taken += [f"INPUT{operand}" for operand in OPERANDS]
        for port, register in zip(ports, operands, strict=True):
            assert register is not None
            netlist.connect(name, port, register["connections"]["DI"][0])
    # A product that is an operand of its own multiplier has another reader by now.
    if all(products) and all(netlist.only_reader(wires[port][0]) for port in outputs):
        taken += ["OUTPUT"]
        _show_registers(netlist, wires, outputs, products)
    if taken:
        cell["parameters"] |= {f"REG_{what}_CLK": "CLK0" for what in taken} | {"GSR": "DISABLED"}
        for port, bit in (("CLK0", clocks.pop()), ("CE0", "1"), ("RST0", "0")):
            cell["port_directions"][port] = "input"
            wires[port] = []
            netlist.connect(name, port, bit)


def _clock(register: Cell) -> Bit:
    return register["connections"]["CLK"][0]


def _is_plain(cell: Cell) -> bool:
    """Whether a register only takes what comes, in every cycle, from 0 on."""
    settings, wires = cell["parameters"], cell["connections"]
    return (
        # Yosys adds a blank to texts that look like numbers.
        settings.get("CEMUX", "").strip() == "1"
        and settings.get("REGSET") == "RESET"
        and settings.get("CLKMUX", "CLK") == "CLK"
        and settings.get("GSR") == "DISABLED"
        and wires.get("LSR", ["0"]) == ["0"]
    )


class _Netlist:
    """The cells of a module, its plain registers by the net they write, and the readers of every net.

    A reader is a cell and a port; all ports of registers, multipliers and block memories have one bit.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.readers: dict[Bit, set[tuple[str, str]]] = collections.defaultdict(set)
        self._registers: dict[Bit, str] = {}
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    self._read((name, port), bits)
            if cell["type"] == REGISTER and _is_plain(cell):
                self._registers[cell["connections"]["Q"][0]] = name
        for port, what in module["ports"].items():
            self._read(("", port), what["bits"])

    def _read(self, reader: tuple[str, str], bits: Sequence[Bit]) -> None:
        for bit in bits:
            self.readers[bit].add(reader)

    def source(self, bit: Bit) -> Cell | None:
        """The plain register that a net comes from."""
        name = self._registers.get(bit)
        return None if name is None else self.cells[name]

    def only_reader(self, bit: Bit) -> Cell | None:
        """The plain register that is all that reads a net."""
        if len(self.readers[bit]) != 1:
            return None
        name, _ = next(iter(self.readers[bit]))
        cell = self.cells.get(name)
        return cell if cell and self._registers.get(cell["connections"].get("Q", [""])[0]) == name else None

    def connect(self, name: str, port: str, bit: Bit) -> None:
        """Have a port read another net; a register that nobody reads any more goes."""
        for old in self.cells[name]["connections"][port]:
            self.readers[old].discard((name, port))
            if not self.readers[old] and old in self._registers:
                self.remove(old)
        self.cells[name]["connections"][port] = [bit]
        self.readers[bit].add((name, port))

    def remove(self, bit: Bit) -> None:
        """Remove the plain register that a net comes from."""
        name = self._registers.pop(bit)
        for port, bits in self.cells.pop(name)["connections"].items():
            for read in bits:
                self.readers[read].discard((name, port))
