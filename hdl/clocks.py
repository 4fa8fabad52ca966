"""The clock of what learns, which may rest while nothing does."""

from __future__ import annotations

from typing import TypeVar

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Elaboratable, Instance, Module, ResetSignal
from amaranth.hdl import Value

LEARN = "learn"
"""Domain of what learns, where it has a clock of its own."""

RESET = "learn_reset"
"""Domain of its reset."""

CLOCK_GATE = """
// The clock in those cycles in which `enable` is set; it may follow from any register of the same clock.
module clock_gate(input clk, input enable, output gated);
  reg open;
  always_latch if (!clk) open = enable;
  assign gated = clk & open;
endmodule
"""

E = TypeVar("E", bound=Elaboratable)


def is_gated(platform: object) -> bool:
    """Whether what learns has a clock of its own (:func:`hdl.verilog.convert`).

    It changes no bit and no cycle: nothing that anybody sees changes in the cycles in which that clock rests. It makes
    simulation faster, whose cost is that of the cells behind running clocks.
    """
    return bool(getattr(platform, "gates_clocks", False))


def domain(platform: object) -> str:
    """Domain of what learns."""
    return LEARN if is_gated(platform) else "sync"


def learning(component: E, platform: object) -> E:
    """A component in the domain of what learns."""
    return DomainRenamer(LEARN)(component) if is_gated(platform) else component


def add_clock(m: Module, platform: object, awake: Value) -> None:
    """Give the domain its clock, in cycles in which ``awake`` is set or there is a reset; it follows from registers."""
    if is_gated(platform):
        m.domains += ClockDomain(LEARN, local=True)
        # The reset comes from a register of its own domain, and so does nothing else in it follow from another's.
        m.domains += ClockDomain(RESET, local=True, reset_less=True)
        m.d.comb += ClockSignal(RESET).eq(ClockSignal(LEARN))
        m.d[RESET] += ResetSignal(LEARN).eq(ResetSignal())
        enable = awake | ResetSignal() | ResetSignal(LEARN)
        m.submodules.gate = Instance("clock_gate", i_clk=ClockSignal(), i_enable=enable, o_gated=ClockSignal(LEARN))
