"""Boards: the catalogue, clocks, pins, the reading of what the tools say, and builds that are refused."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.boards import flow
from hdl.boards.catalogue import BOARDS, ECP5, ICE40, NAME, Board, Resources, excesses, get_board
from hdl.boards.clock import ecp5_divisors, ice40_divisors
from hdl.boards.design import BoardDesign
from hdl.boards.fold import FOLD, FOLD_COMMANDS, FOLD_FILE
from hdl.boards.xilinx import DEVICES, Estimate, count
from hdl.options import CoreOptions
from host.board_report import signal_name
from host.cli import main
from tests.proofs import proves

TINY = DeviceConfig(inputs=4, groups=2, group_size=4, actions=2, lanes=10)


def says(program: str, *arguments: str) -> str:
    """What a tool of the wheels prints."""
    path = Path(sysconfig.get_path("scripts")) / program
    return subprocess.run([str(path), *arguments], capture_output=True, text=True, check=True).stdout


# --- tables ---------------------------------------------------------------------------------------------


def folded_equal(folder: Path, fold: str) -> bool:
    """Whether Yosys proves that tables and carry chains of every choice of constant inputs answer the same, folded."""
    rng, cells = random.Random(1), []
    for number, bits in enumerate(itertools.product("x01", repeat=4)):
        a, b, c, d = (f"i[{place}]" if bit == "x" else f"1'b{bit}" for place, bit in enumerate(bits))
        init, other = rng.getrandbits(16), rng.getrandbits(16)
        cells.append(
            f"LUT4 #(.INIT(16'd{init})) l{number} (.A({a}), .B({b}), .C({c}), .D({d}), .Z(o[{4 * number}]));"
            f'CCU2C #(.INIT0(16\'d{init}), .INIT1(16\'d{other}), .INJECT1_0("NO"), .INJECT1_1("NO")) c{number}'
            f"(.CIN(i[4]), .A0({a}), .B0({b}), .C0({c}), .D0({d}), .A1({a}), .B1(i[5]), .C1({c}), .D1({d}),"
            f".S0(o[{4 * number + 1}]), .S1(o[{4 * number + 2}]), .COUT(o[{4 * number + 3}]));"
        )
    text = f"module top(input [5:0] i, output [{4 * 3**4 - 1}:0] o);{''.join(cells)} endmodule"
    (folder / "top.v").write_text(text)
    (folder / FOLD_FILE).write_text(fold)
    return proves(
        folder,
        "read_verilog -lib -specify +/lattice/cells_sim_ecp5.v",
        "read_verilog top.v",
        "hierarchy -top top",
        "design -save before",
        *FOLD_COMMANDS,
        "rename top folded",
        "design -stash folded",
        "design -load before",
        "design -copy-from folded folded",
        "read_verilog -overwrite +/lattice/cells_sim_ecp5.v",
        "miter -equiv -make_assert top folded miter",
        "hierarchy -top miter",
        "proc",
        "flatten",
        "opt_clean",
        "sat -verify -prove-asserts miter",
    )


def test_tables_answer_the_same_without_wires_for_zeros(tmp_path: Path) -> None:
    assert folded_equal(tmp_path, FOLD)


@pytest.mark.parametrize("right", ["16'h3333", "{INIT0[11:8]"])
def test_a_table_that_answers_otherwise_would_be_seen(tmp_path: Path, right: str) -> None:
    assert right in FOLD
    assert not folded_equal(
        tmp_path, FOLD.replace(right, {"16'h3333": "16'h3330", "{INIT0[11:8]": "{INIT0[7:4]"}[right])
    )


# --- clocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megahertz", [60, 80, 100])
def test_the_pll_of_an_ecp5_makes_what_project_trellis_would_make(megahertz: int) -> None:
    text = says("yowasp-ecppll", "-i", "25", "-o", str(megahertz))
    known = {name: int(value) for name, value in re.findall(r"(Refclk|Feedback|clkout0) divisor: (\d+)", text)}
    found = ecp5_divisors(25_000_000, megahertz * 1_000_000)
    assert found.frequency == pytest.approx(megahertz * 1e6)
    assert (found.reference, found.feedback, found.output) == (known["Refclk"], known["Feedback"], known["clkout0"])


@pytest.mark.parametrize("megahertz", [18, 24, 30])
def test_the_pll_of_an_ice40_makes_what_project_icestorm_would_make(megahertz: int) -> None:
    text = says("yowasp-icepll", "-i", "12", "-o", str(megahertz))
    known = {name: int(value) for name, value in re.findall(r"(DIV[RFQ]): +(\d+)", text)}
    found = ice40_divisors(12_000_000, megahertz * 1_000_000)
    assert (found.reference - 1, found.feedback - 1) == (known["DIVR"], known["DIVF"])
    assert found.output == 1 << known["DIVQ"] and found.frequency == pytest.approx(megahertz * 1e6)


def test_a_clock_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(SvpgError, match="choose another --clock"):
        ice40_divisors(12_000_000, 1_000_000)


# --- the catalogue --------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_a_board_has_its_clock_its_serial_line_and_its_lights(board: Board) -> None:
    """Amaranth finds every pin, and tells the tools of both clocks."""
    platform = board.platform()
    design = BoardDesign(board, TINY, CoreOptions(softmax_lanes=2), board.clock)
    files = platform.prepare(design, NAME, verbose=False).files
    (constraints,) = [text for name, text in files.items() if name.endswith((".lpf", ".pcf"))]
    text = constraints if isinstance(constraints, str) else constraints.decode()
    for pin in ("uart_0__rx", "uart_0__tx", *(f"{name}_{number}" for name, number in board.leds.values())):
        assert re.search(rf"\b{pin}__io\b", text), pin
    hertz = design.divisors.frequency / (1 if board.family is ECP5 else 1e6)
    assert re.search(rf"pll_clock\"? {re.escape(str(hertz))}", text)
    assert platform.default_clk_frequency == board.oscillator
    assert design.divisors.frequency == pytest.approx(board.clock, rel=1e-6)


def test_an_unknown_board_is_refused_with_those_there_are() -> None:
    with pytest.raises(SvpgError, match="choose one of ulx3s-85f, ulx3s-25f, icebreaker"):
        get_board("ulx3s")


def test_what_is_too_much_is_named_with_what_there_is() -> None:
    board = BOARDS["icebreaker"]
    assert excesses(board, board.resources) == []
    needs = Resources(luts=6_000, registers=100, multipliers=9, block_rams=30)
    assert excesses(board, needs) == ["6,000 LUTs of 5,280", "9 multipliers of 8"]


def test_both_families_are_there() -> None:
    assert {board.family.name for board in BOARDS.values()} == {ECP5.name, ICE40.name}


# --- reports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "name"),
    [
        ("top.core.decision.beats__payload[90]", "core.decision.beats__payload"),
        (
            "top.core.decision.softmax.maximum.value1_0_LUT4_Z_24_D_LUT4_Z_D[17]",
            "core.decision.softmax.maximum.value1_0",
        ),
        ("top.core.decision.softmax.maximum.index2_0_TRELLIS_FF_Q_LSR", "core.decision.softmax.maximum.index2_0"),
        ("$nextpnr_CCU2C_141$COUT", ""),
    ],
)
def test_nets_are_named_as_the_signals_of_the_hardware(net: str, name: str) -> None:
    assert signal_name(net) == name


# --- what is refused ------------------------------------------------------------------------------------


def test_a_build_that_cannot_fit_is_refused_before_any_tool_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["build", "icebreaker", "mnist", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "icebreaker: does not fit: " in error and "svpg plan mnist" in error
    assert len(error.strip().splitlines()) == 1 and not out.exists()


def test_programming_without_the_programmer_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["build", "ulx3s-85f", "inverted-pendulum", "--program", "--out", str(tmp_path / "out")]) == 2
    assert "sudo apt-get install -y openfpgaloader" in capsys.readouterr().err


# --- other flows ----------------------------------------------------------------------------------------


def test_cells_of_the_other_flow_are_counted_in_the_units_of_its_data_sheets() -> None:
    cells = {"LUT2": 3, "LUT6": 4, "RAM32M": 2, "FDRE": 7, "FDSE": 1, "DSP48E1": 5, "RAMB36E1": 2, "RAMB18E1": 3}
    assert count({**cells, "CARRY4": 9, "MUXF7": 9}) == Estimate(luts=15, registers=8, dsps=5, block_rams=3.5)


@pytest.mark.slow
def test_an_export_tells_what_other_devices_would_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["network.groups=1", "network.group_size=2", "network.lanes=2", "core.softmax_lanes=1"]
    more = [part for setting in settings for part in ("--set", setting)]
    assert main(["rtl", "inverted-pendulum", "--out", str(tmp_path / "rtl"), "--estimate", *more]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line[:20].strip() for line in table] == ["", "this core", *DEVICES]
    luts, registers, dsps, _ = (float(figure.replace(",", "")) for figure in table[1][20:].split())
    assert luts > 500 and registers > 500 and dsps >= 2


def test_a_build_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "LOOK_SECONDS", 0.0)
    rows = ["     83000 |    13952      69047 |  208   792 |     59206|       1.32      93.17|"]
    rows += ["     84000 |    14103      69896 |  151   849 |     58569|       1.21      94.38|"]
    (tmp_path / f"build_{NAME}.sh").write_text(
        f"""echo 'Info: Packing IOs..' > {NAME}.tim; sleep 1
        {"; ".join(f"echo 'Info: {row}' >> {NAME}.tim" for row in rows)}; sleep 1
        echo > routed.json; sleep 1; exit 3"""
    )
    told: list[str] = []
    assert flow._run(tmp_path, {}, told.append) == 3
    assert list(dict.fromkeys(told)) == ["placement", "routing, 58,569 connections left", "bitstream"]
