"""Verilog of a component.

Amaranth writes down every row of a memory, zeros too: a megabyte and many seconds for the parameters of a large net.
Here the large ones, which start at zero, become instances of one small Verilog module that clears itself in a loop.
"""

from __future__ import annotations

import re

from amaranth import ClockSignal, Instance, Value
from amaranth.back import rtlil, verilog
from amaranth.hdl import MemoryInstance
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from hdl.clocks import CLOCK_GATE
from hdl.memory import NO_COLLISION

ZEROED_MEMORY = """
// Zeros at first; one port writes, one reads. No row is read while it is written.
module zeroed_memory #(
  parameter WIDTH = 1,
  parameter DEPTH = 1,
  parameter ADDRESS_WIDTH = 1
) (
  input clk,
  input write,
  input [ADDRESS_WIDTH-1:0] write_address,
  input [WIDTH-1:0] write_data,
  input [ADDRESS_WIDTH-1:0] read_address,
  output [WIDTH-1:0] read_data
);
  (* no_rw_check *)
  reg [WIDTH-1:0] memory [0:DEPTH-1];
  integer row;
  initial for (row = 0; row < DEPTH; row = row + 1) memory[row] = 0;
  always @(posedge clk) if (write) memory[write_address] <= write_data;
  assign read_data = memory[read_address];
endmodule
"""

CONSTANT_PROCESS = re.compile(r"always @\*(?=\n\s*\S+ = \d+'h[0-9a-f]+;\n)")
"""A process that sets some bits of a signal to a constant, once and for all."""


class _Platform:
    """What Amaranth asks how a memory is made, and :mod:`hdl.clocks` whether what learns has a clock of its own."""

    def __init__(self, gates_clocks: bool) -> None:
        self.gates_clocks = gates_clocks

    def get_memory(self, memory: Memory) -> Instance | MemoryInstance:
        """An instance of the module above for a memory of one asynchronous read port and one write port, marked with
        :data:`hdl.memory.NO_COLLISION`; Amaranth's own memory for all others."""
        reads, writes = memory.read_ports, memory.write_ports
        if NO_COLLISION in memory.attrs and not any(memory.data.init):
            (read,), (write,) = reads, writes
            return Instance(
                "zeroed_memory",
                p_WIDTH=len(Value.cast(read.data)),
                p_DEPTH=memory.depth,
                p_ADDRESS_WIDTH=len(read.addr),
                i_clk=ClockSignal(write.domain),
                i_write=write.en,
                i_write_address=write.addr,
                i_write_data=write.data,
                i_read_address=read.addr,
                o_read_data=read.data,
            )
        instance = MemoryInstance(data=memory.data, attrs=memory.attrs)
        ports = {
            write: instance.write_port(domain=write.domain, addr=write.addr, data=write.data, en=write.en)
            for write in writes
        }
        for read in reads:
            instance.read_port(
                domain=read.domain,
                addr=read.addr,
                data=read.data,
                en=read.en,
                transparent_for=[ports[write] for write in read.transparent_for],
            )
        return instance


def intermediate(component: wiring.Component, name: str, gates_clocks: bool = False) -> str:
    """What :func:`convert` makes its Verilog of: RTLIL, with the same names."""
    text: str = rtlil.convert(component, name=name, platform=_Platform(gates_clocks), emit_src=False)
    return text


def netlist(component: wiring.Component, name: str, gates_clocks: bool = False) -> str:
    """All that :func:`convert` depends on, as text; made much faster than its Verilog."""
    return ZEROED_MEMORY + CLOCK_GATE * gates_clocks + intermediate(component, name, gates_clocks)


def convert(component: wiring.Component, name: str, gates_clocks: bool = False) -> str:
    """A component as Verilog with the top module ``name``.

    Parameters
    ----------
    gates_clocks: what learns gets a clock that rests while nothing learns (:mod:`hdl.clocks`); for fast simulation.
    """
    text: str = verilog.convert(
        component, name=name, platform=_Platform(gates_clocks), emit_src=False, strip_internal_attrs=True
    )
    # Some bits of a signal that never change: a process without inputs would not run even once.
    text = CONSTANT_PROCESS.sub("initial", text)
    parts = {"zeroed_memory": ZEROED_MEMORY, "clock_gate": CLOCK_GATE}
    return text + "".join(part for module, part in parts.items() if f"{module} " in text)
