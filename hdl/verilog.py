"""Verilog of a component.

Amaranth writes down every row of a memory, zeros too: a megabyte and many seconds for the parameters of a large net.
Here a memory that starts at zero becomes an instance of one small Verilog module that clears itself in a loop.
"""

from __future__ import annotations

from amaranth import ClockSignal, Instance, Value
from amaranth.back import rtlil, verilog
from amaranth.hdl import MemoryInstance
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

ZEROED_MEMORY = """
// Zeros at first; one port writes, one reads. A read beside a write of the same row gives the old row.
module zeroed_memory #(
  parameter WIDTH = 1,
  parameter DEPTH = 1,
  parameter ADDRESS_WIDTH = 1
) (
  input clk,
  input write,
  input [ADDRESS_WIDTH-1:0] write_address,
  input [WIDTH-1:0] write_data,
  input read,
  input [ADDRESS_WIDTH-1:0] read_address,
  output reg [WIDTH-1:0] read_data
);
  reg [WIDTH-1:0] memory [0:DEPTH-1];
  integer row;
  initial for (row = 0; row < DEPTH; row = row + 1) memory[row] = 0;
  always @(posedge clk) begin
    if (write) memory[write_address] <= write_data;
    if (read) read_data <= memory[read_address];
  end
endmodule
"""


class _Memories:
    """The platform that Amaranth asks how a memory is made."""

    def get_memory(self, memory: Memory) -> Instance | MemoryInstance:
        """An instance of the module above where it will do, Amaranth's own memory elsewhere."""
        reads, writes = memory.read_ports, memory.write_ports
        if len(reads) == len(writes) == 1 and not any(memory.data.init):
            read, write = reads[0], writes[0]
            if read.domain == write.domain and not read.transparent_for and len(write.en) == 1:
                return Instance(
                    "zeroed_memory",
                    p_WIDTH=len(Value.cast(read.data)),
                    p_DEPTH=memory.depth,
                    p_ADDRESS_WIDTH=len(read.addr),
                    i_clk=ClockSignal(read.domain),
                    i_write=write.en,
                    i_write_address=write.addr,
                    i_write_data=write.data,
                    i_read=read.en,
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


def netlist(component: wiring.Component, name: str) -> str:
    """All that :func:`convert` depends on, as text; made much faster than its Verilog."""
    return ZEROED_MEMORY + rtlil.convert(component, name=name, platform=_Memories(), emit_src=False)


def convert(component: wiring.Component, name: str) -> str:
    """A component as Verilog with the top module ``name``."""
    text: str = verilog.convert(component, name=name, platform=_Memories(), emit_src=False, strip_internal_attrs=True)
    return text + ZEROED_MEMORY if "zeroed_memory" in text else text
