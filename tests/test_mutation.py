"""The mutation check itself: mutants that must be noticed are, and nothing else is."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.core import Core
from hdl.options import CoreOptions
from host.cli import main
from host.commands import mutate
from sim import mutation
from sim.bench.course import Course
from sim.mutants import KINDS, Mutant, compile_mutants, insert, pick, sites
from sim.mutation import Finding, Outcome, Regression, Result, explained
from sim.mutation_report import read_notes, report
from sim.netlist import Netlist, flat_netlist, yosys

TINY = Course(
    DeviceConfig(inputs=2, groups=1, group_size=2, actions=3, lanes=2, iterations=2),
    CoreOptions(softmax_lanes=1, rounds_per_cycle=1),
    decisions=4,
    frames=8,
    resets=2,
    seed=0,
)


class Adder(wiring.Component):
    """Two modules, a flip-flop, words of several bits."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "b": In(4), "sum": Out(5)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = inner = Module()
        total = Signal(5)
        inner.d.comb += total.eq(self.a + self.b)
        m.d.sync += self.sum.eq(total)
        return m


@pytest.fixture(scope="module")
def adder() -> Netlist:
    return flat_netlist(Adder())


# --- netlists --------------------------------------------------------------------------------------------


def test_cells_know_where_they_come_from(adder: Netlist) -> None:
    assert adder.modules == ["inner"]
    origins = {cell.kind: adder.origin(cell) for cell in adder.cells}
    assert (origins["$add"], origins["$sdff"]) == ("inner", "")


def test_ports_are_found_bit_by_bit(adder: Netlist) -> None:
    (add,) = (cell for cell in adder.cells if cell.kind == "$add")
    assert add.ports["A"] == [f"\\a [{bit}]" for bit in (3, 2, 1, 0)]
    assert len(add.ports["Y"]) == 5


def test_signals_of_every_form_are_read() -> None:
    wires = "  wire width 4 \\x\n  wire \\y\n"
    cell = "  cell $f $1\n    connect \\A { \\x [3:2] 2'1x \\y \\x [0] }\n  end\n"
    (cell,) = Netlist(f"module \\top\n{wires}{cell}end\n").cells
    assert cell.ports["A"] == ["\\x [3]", "\\x [2]", "1'1", "1'x", "\\y [0]", "\\x [0]"]


def test_a_netlist_without_mutants_is_itself(adder: Netlist) -> None:
    assert adder.text({}, [], []).splitlines() == adder.lines


# --- mutants ---------------------------------------------------------------------------------------------


def test_mutants_are_drawn_by_seed_and_spread_over_modules(adder: Netlist) -> None:
    mutants = pick(adder, 8, random.Random(3))
    assert mutants == pick(adder, 8, random.Random(3)) != pick(adder, 8, random.Random(4))
    assert Counter(mutant.module for mutant in mutants) == {"inner": 4, "": 4}
    assert len({(mutant.cell, mutant.port, mutant.bit) for mutant in mutants}) == 8
    assert {mutant.port for mutant in mutants} <= {"A", "B", "Y", "D", "SRST"}


def test_more_mutants_than_places_are_refused(adder: Netlist) -> None:
    places = sum(map(len, sites(adder).values()))
    assert len(pick(adder, places, random.Random(0))) == places
    with pytest.raises(SvpgError, match=f"do not fit into {places} places; ask for fewer"):
        pick(adder, places + 1, random.Random(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("port", "bit"), [("A", 3), ("Y", 0)])
def test_a_mutant_is_what_it_says_and_only_when_it_is_selected(adder: Netlist, kind: str, port: str, bit: int) -> None:
    """Yosys folds the adder of two constants; two mutants of the same bit do not disturb each other."""
    a, b = 0b0110, 0b0011
    (add,) = (cell for cell in adder.cells if cell.kind == "$add")
    mutant = Mutant(add.name, add.kind, "inner", port, bit, len(add.ports[port]), kind, "")
    text = insert(adder, [mutant, mutant])

    def mutated(value: int, width: int) -> int:
        above = value >> (bit + 1) % width & 1
        new = {"invert": ~value >> bit & 1, "zero": 0, "one": 1, "swap": above}[kind]
        return value & ~(1 << bit) | new << bit

    wrong = mutated(a, 4) + b if port == "A" else mutated(a + b, 5)
    assert [sum_of(text, a, b, selected) for selected in (0, 2)] == [a + b, wrong]


def sum_of(netlist: str, a: int, b: int, selected: int) -> int:
    """What enters the adder's flip-flop when its inputs are constants."""
    inputs = {"a": f"4'{a:04b}", "b": f"4'{b:04b}", "mutant": f"16'{selected:016b}"}
    text = re.sub(r"^(  wire .*)input \d+ (\\(?:a|b|mutant))$", r"\1\2", netlist, flags=re.M)
    fixed = "".join(f"  connect \\{name} {value}\n" for name, value in inputs.items())
    text = text.removesuffix("end\n") + fixed + "end\n"
    flat = yosys(f"read_rtlil <<rtlil\n{text}rtlil\nopt_expr\nopt_clean\nopt_expr\nopt_clean\nwrite_rtlil\n")
    (flop,) = (cell for cell in Netlist(flat).cells if len(cell.ports.get("Q", ())) > 1)
    return int("".join(digit[-1] for digit in flop.ports["D"]), 2)


# --- the regression --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> tuple[list[Mutant], Regression]:
    """A few mutants of a tiny core."""
    netlist = flat_netlist(Core(TINY.config, TINY.options))
    mutants = pick(netlist, 20, random.Random(1))
    return mutants, Regression(TINY, compile_mutants(netlist, mutants))


def test_the_core_without_a_mutant_is_right(tiny: tuple[list[Mutant], Regression]) -> None:
    mutants, regression = tiny
    for number in (0, len(mutants) + 1):
        assert regression.run(number) == (None, False)


def test_most_mutants_are_killed_in_different_ways(tiny: tuple[list[Mutant], Regression]) -> None:
    mutants, regression = tiny
    found = [regression.run(number) for number in range(1, len(mutants) + 1)]
    killed = [finding for finding, _ in found if finding]
    assert len(killed) > 10 and len({finding.wrong for finding in killed}) > 2
    assert all(excited for finding, excited in found if finding), "a bit that is never wrong cannot be noticed"
    assert regression.run(1) == found[0], "nothing of a mutant is left behind"


def test_a_core_that_is_wrong_without_mutants_is_refused(
    tiny: tuple[list[Mutant], Regression], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, regression = tiny
    monkeypatch.setattr(mutation.FrameServer, "exchange", lambda self, words: np.zeros(0, np.uint32))
    with pytest.raises(SvpgError, match="without any mutant; find out why with svpg lockstep"):
        Regression(TINY, regression.folder)


# --- what is reported ------------------------------------------------------------------------------------


def result(*founds: tuple[Finding | None, Finding | None]) -> Result:
    """A result of mutants that were noticed in these ways, at first and in the longer course."""
    mutant = Mutant("$1", "$add", "queue", "A", 0, 4, "one", "\\queue.count [0]")
    return Result([Outcome(mutant, first, True, later) for first, later in founds], "abc", 10, 20)


VALUE, TIME = Finding("decisions", "winners"), Finding("mixture", "cycles")


def test_silent_mutants_do_not_count_and_missed_ones_do() -> None:
    mixed = result((VALUE, None), (TIME, None), (None, VALUE), (None, None), (VALUE, None))
    assert (len(mixed.killed), len(mixed.missed), len(mixed.silent), mixed.rate) == (3, 1, 1, 0.75)
    assert [TIME.is_time, VALUE.is_time] == [True, False]


def test_survivors_are_listed_with_their_explanation_as_long_as_it_is_of_this_netlist(tmp_path: Path) -> None:
    silent = result((VALUE, None), (None, None))
    notes = tmp_path / "mutation.toml"
    for netlist, note, listed in (
        ("abc", "nobody looks", "nobody looks"),
        ("def", "nobody looks", "not explained yet"),
        ("abc", "changes: one bit in a million draws", "**missed**: one bit in a million draws"),
    ):
        notes.write_text(f'[{netlist}]\n"{silent.outcomes[1].mutant.key}" = "{note}"\n')
        noted = explained(silent, read_notes(notes).get(silent.netlist, {}))
        assert f"| 2 | queue | `$add A[0]` (`queue.count [0]`) | one | {listed} |" in report(
            {"tiny": noted}, {"tiny": "a device"}, "svpg mutate"
        )
        assert noted.rate == (0.5 if "missed" in listed else 1.0)
    assert read_notes(tmp_path / "none.toml") == {}
    notes.write_text("[abc")
    with pytest.raises(SvpgError, match="not a readable file of notes"):
        read_notes(notes)


def test_the_command_fails_below_the_rate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for outcome, status in ((result((VALUE, None)), 0), (result((VALUE, None), (None, TIME)), 1)):
        monkeypatch.setattr(mutate, "check", lambda *_, outcome=outcome: outcome)
        assert main(["mutate", "--device", "wide", "--out", str(tmp_path), "--json"]) == status
        data = json.loads(capsys.readouterr().out)
        assert data["devices"]["wide"]["missed"] == len(outcome.missed)
        assert "svpg mutate --mutants 150 --seed 0 --device wide" in (tmp_path / "mutation.md").read_text()
    assert main(["mutate", "--out", str(tmp_path / "none")]) == 2
