"""Clocks of what learns, which may rest while nothing does."""

from __future__ import annotations

from typing import TypeVar

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Elaboratable, Instance, Module, ResetSignal
from amaranth.hdl import Value

LEARN = "learn"
"""Domain of the eligibility and the accumulators, where they have a clock of their own."""

UPDATE = "update"
"""Domain of the update, and of writing parameters and second moments."""

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


def domain(name: str, platform: object) -> str:
    """The domain that takes the place of one of these."""
    return name if is_gated(platform) else "sync"


def within(name: str, component: E, platform: object) -> E:
    """A component in one of these domains."""
    return DomainRenamer(name)(component) if is_gated(platform) else component


def add_clock(m: Module, name: str, platform: object, awake: Value) -> None:
    """Give a domain its clock, in cycles in which ``awake`` is set or there is a reset; it follows from registers."""
    if is_gated(platform):
        # The reset comes from a register of the domain's own clock, so that nothing else in it follows from another's.
        reset = f"{name}_reset"
        m.domains += ClockDomain(name, local=True)
        m.domains += ClockDomain(reset, local=True, reset_less=True)
        m.d.comb += ClockSignal(reset).eq(ClockSignal(name))
        m.d[reset] += ResetSignal(name).eq(ResetSignal())
        enable = awake | ResetSignal() | ResetSignal(name)
        m.submodules[f"{name}_gate"] = Instance(
            "clock_gate", i_clk=ClockSignal(), i_enable=enable, o_gated=ClockSignal(name)
        )
