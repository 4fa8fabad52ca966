"""Coverage of the Verilog: what Verilator counted is read right, holes are found, and each has a reason or fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.errors import SvpgError
from golden.protocol import LAST
from hdl.layouts import WORD
from hdl.verilog import intermediate
from host.cli import main
from host.commands import coverage as command
from sim.build import write_verilog
from sim.model import DESIGN, VerilatedModel, component_library, design_key, library
from sim.netlist import flattened
from sim.rtl_coverage import (
    CONSTANT,
    EXPRESSION,
    FALLS,
    LINES,
    RISES,
    TOGGLES,
    Constants,
    Coverage,
    Point,
    counted,
    decoded,
    read_points,
)
from sim.rtl_coverage_report import UNEXPLAINED, about, read_notes, report, unexplained, unused, where


class Counter(wiring.Component):
    """Adds the number of frames before to every word, and has one branch that odd first words alone take."""

    def __init__(self) -> None:
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        frames = Signal(8)
        seen = Signal()
        fixed = Signal(2)
        m.d.comb += [
            fixed.eq(2),
            self.responses.payload.data.eq(self.commands.payload.data + frames + seen),
            self.responses.payload.last.eq(self.commands.payload.last),
            self.responses.valid.eq(self.commands.valid),
            self.commands.ready.eq(self.responses.ready),
        ]
        with m.If(self.commands.valid & self.commands.ready & self.commands.payload.last):
            m.d.sync += frames.eq(frames + fixed)
            with m.If(self.commands.payload.data == 0xABCD):
                m.d.sync += seen.eq(1)
        return m


@pytest.fixture(scope="module")
def folder() -> Path:
    return library(design_key(Counter()), lambda path: write_verilog(Counter(), path, DESIGN), coverage=True)


def measured(folder: Path, words: list[int], tmp_path: Path) -> list[Point]:
    model = VerilatedModel(folder)
    model.exchange(np.array([word | LAST for word in words], dtype=np.uint32), len(words))
    model.write_coverage(tmp_path / "coverage.dat")
    netlist = flattened(intermediate(Counter(), DESIGN))
    text = (tmp_path / "coverage.dat").read_text()
    points, left_out = counted(
        read_points(text, (folder / f"{DESIGN}.v").read_text()), Constants(netlist), netlist.memories()
    )
    assert left_out[CONSTANT] and left_out[EXPRESSION]
    return points


def bits(points: list[Point], signal: str, edge: str) -> dict[int, int]:
    return {point.bit: point.count for point in points if point.what == signal and point.edge == edge}


def test_a_branch_that_nothing_takes_and_a_bit_that_never_falls_are_holes(folder: Path, tmp_path: Path) -> None:
    points = measured(folder, [1, 2, 3], tmp_path)
    # 2, 4, 6
    assert bits(points, "frames", RISES) == {0: 0, 1: 2, 2: 1, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0}
    assert bits(points, "frames", FALLS) == {0: 0, 1: 1, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0}
    assert bits(points, "seen", RISES) == {0: 0}
    assert not any(point.what == "fixed" for point in points)
    assert any(point.kind == LINES and not point.count for point in points)

    points = measured(folder, [1, 0xABCD, 3], tmp_path)
    assert bits(points, "seen", RISES) == {0: 1}
    taken = [point for point in points if point.kind == LINES and "else" not in point.what]
    assert all(point.count for point in taken)


def test_a_model_that_does_not_count_says_so(tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="compiled without; compile it with coverage"):
        VerilatedModel(component_library(Counter())).write_coverage(tmp_path / "coverage.dat")


@pytest.mark.parametrize(
    "text",
    ["", "something else\n", "# SystemC::Coverage-3\nC 'broken\n", "# SystemC::Coverage-3\nC '' 3\n"],
    ids=["empty", "another file", "broken line", "no fields"],
)
def test_a_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SvpgError, match="run svpg coverage again"):
        list(read_points(text, ""))


def test_names_are_those_of_the_source() -> None:
    assert decoded("requests___05Fpayload__02estatus__05b0__05d") == "requests__payload.status[0]"
    assert decoded("x__024103") == "x$103"


RISEN = [Point(TOGGLES, "queue", "level", bit, edge, 0) for bit in (0, 1, 3) for edge in (RISES, FALLS)]
TAKEN = Point(LINES, "", "if (a) begin (if)", -1, "", 2)
MISSED = Point(LINES, "", "if (b) begin (else)", -1, "", 0)

NOTES = """
[[toggles]]
module = 'queue'
what = 'level'
why = "never full"

[[branches]]
module = ''
what = 'if \\(b\\).*'
why = "always ready"
"""


def test_holes_have_reasons_or_are_marked(tmp_path: Path) -> None:
    coverage = Coverage([*RISEN, TAKEN, MISSED], {EXPRESSION: 5}, 99)
    (tmp_path / "notes.toml").write_text(NOTES)
    notes = read_notes(tmp_path / "notes.toml")
    assert unexplained(coverage, notes) == []
    text = report({"tiny": coverage}, {"tiny": "a device"}, notes, "svpg coverage")
    assert "| tiny | 1 of 2, 50.0 % | 0 of 6, 0.0 % | 7 | 7 | 99 |" in text
    assert "| queue | `level` | bits 0–1, 3 | never full |" in text
    assert "| core | `if (b) begin (else)` | 1 branch | always ready |" in text
    assert unexplained(coverage, {}) == [*RISEN, MISSED]
    assert UNEXPLAINED in report({"tiny": coverage}, {"tiny": "a device"}, {}, "svpg coverage")
    whole = Coverage([TAKEN, MISSED], {}, 99)
    assert [note.why for note in unused({"tiny": whole}, notes)] == ["never full"]
    assert where(RISEN[:1]) == "bit 0 0→1"


def test_a_note_with_devices_explains_no_hole_of_another(tmp_path: Path) -> None:
    coverage = Coverage(RISEN, {}, 99)
    (tmp_path / "notes.toml").write_text(NOTES.replace("[[toggles]]", "[[toggles]]\ndevices = ['tiny']"))
    notes = read_notes(tmp_path / "notes.toml")
    assert unexplained(coverage, about(notes, "tiny")) == []
    assert unexplained(coverage, about(notes, "other")) == RISEN
    text = report({"other": coverage}, {"other": "a device"}, notes, "svpg coverage")
    assert "| other | – | 0 of 6, 0.0 % | 6 | 0 | 99 |" in text and UNEXPLAINED in text
    assert [note.why for note in unused({"other": coverage}, notes)] == ["never full", "always ready"]


@pytest.mark.parametrize(
    "text",
    ["[[toggles", "[[toggles]]\nmodule = ''", "[[toggles]]\nmodule = '('\nwhat = ''\nwhy = ''"],
    ids=["no TOML", "half a note", "no expression"],
)
def test_notes_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    assert read_notes(tmp_path / "none.toml") == {}
    (tmp_path / "notes.toml").write_text(text)
    with pytest.raises(SvpgError, match="not a readable file of notes"):
        read_notes(tmp_path / "notes.toml")


def test_the_command_fails_where_a_hole_has_no_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "measure", lambda *_: Coverage([*RISEN, TAKEN, MISSED], {}, 99))
    assert main(["coverage", "--out", str(tmp_path), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["devices"]["wide"]["toggles"] == {"points": 6, "covered": 0, "unexplained": 6}
    (tmp_path / "coverage.toml").write_text(NOTES)
    assert main(["coverage", "--device", "wide", "--out", str(tmp_path)]) == 0
    assert "svpg coverage --device wide" in (tmp_path / "coverage.md").read_text()
    (tmp_path / "coverage.toml").write_text(NOTES.replace("level", "levels"))
    assert main(["coverage", "--out", str(tmp_path)]) == 1
    assert "no hole matches 'queue', 'levels'; remove the note" in capsys.readouterr().out
    assert main(["coverage", "--out", str(tmp_path / "none")]) == 2
