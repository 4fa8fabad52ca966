"""Components as Verilog."""

from __future__ import annotations

import re

from amaranth.back import verilog
from amaranth.lib import wiring

_ZEROS = re.compile(r"^  initial begin\n(?:    (\S+ ?)\[\d+\] = (\d+)'h0+;\n)+  end\n", re.MULTILINE)


def to_verilog(component: wiring.Component, name: str) -> str:
    """The component as one Verilog text with the top module ``name``.

    Ports are those of the component, plus ``clk`` and ``rst``; a reset is synchronous.
    """
    return _ZEROS.sub(_loop, verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True))


def _loop(match: re.Match[str]) -> str:
    """A loop in place of a line for every word of a memory that starts at zero."""
    memory, width, words = match[1], match[2], match[0].count(";")
    return (
        f"  initial begin : clear_{re.sub(r'[^A-Za-z0-9_]', '', memory)}\n"
        "    integer i;\n"
        f"    for (i = 0; i < {words}; i = i + 1) {memory}[i] = {width}'h0;\n"
        "  end\n"
    )
