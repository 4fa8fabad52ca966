"""Registers that go into the cells of an ECP5: which are taken, and that a netlist does the same as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hdl.boards import absorb
from hdl.boards.absorb import MEMORY, MULTIPLIER, OPERANDS, PRODUCT, REGISTER, Cell, absorb_registers
from tests.proofs import proves, yosys

DESIGN = """
module top(input clk, en, rst, input [3:0] a, b, output reg [55:0] y, output [3:0] shown);
  reg en1 = 0, rst1 = 0;
  reg signed [3:0] ia = 0, ib = 0, ic = 0, id = 0, reset = 0, enabled = 0, one = 4'd5;
  assign shown = ic;
  reg signed [7:0] plain = 0, held = 0, from_reset = 0, from_enabled = 0, from_one = 0, twice = 0;
  wire signed [7:0] product = ib * one;
  always @(posedge clk) begin
    {en1, rst1} <= {en, rst};
    ia <= a; ib <= b; ic <= ~a; id <= b + 1; one <= a ^ b;
    reset <= rst1 ? 0 : a + b;
    if (en1) enabled <= a;
    plain <= ia * ib;
    if (en1) held <= id * ic;
    from_reset <= reset * ib;
    from_enabled <= enabled * ic;
    from_one <= one * ia;
    twice <= product;
    y <= {product, twice, from_one, from_enabled, from_reset, held, plain};
  end
endmodule
"""
"""Everything comes from registers, and all products but one go into some."""

MODEL = f"""
module MULT18X18D({", ".join(f"input {port}" for ports in OPERANDS.values() for port in ports)},
    {", ".join(f"output {port}" for port in PRODUCT)}, {", ".join(f"input C{bit}" for bit in range(18))},
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0);
  parameter REG_INPUTA_CLK = "NONE"; parameter REG_INPUTB_CLK = "NONE"; parameter REG_OUTPUT_CLK = "NONE";
  parameter GSR = "ENABLED";
  wire [17:0] a = {{{", ".join(reversed(OPERANDS["A"]))}}}, b = {{{", ".join(reversed(OPERANDS["B"]))}}};
  reg [17:0] ra = 0, rb = 0;
  reg [35:0] rp = 0;
  wire [17:0] ia = REG_INPUTA_CLK == "CLK0" ? ra : a, ib = REG_INPUTB_CLK == "CLK0" ? rb : b;
  // What it computes does not matter to where its registers are, and a proof about multipliers takes long.
  wire [35:0] p = {{ia[5:0] ^ ib[5:0], ib, ia}};
  always @(posedge CLK0) if (RST0) {{ra, rb, rp}} <= 0; else if (CE0) {{ra, rb, rp}} <= {{a, b, p}};
  assign {{{", ".join(reversed(PRODUCT))}}} = REG_OUTPUT_CLK == "CLK0" ? rp : p;
endmodule
"""


MEMORIES = """
module top(input clk, en, rst, we, re, input [9:0] wa, ra, input [35:0] d, output reg [107:0] y, output [17:0] shown);
  (* no_rw_check *) reg [17:0] m0 [0:1023], m1 [0:1023], m2 [0:1023], m3 [0:1023];
  (* no_rw_check *) reg [35:0] m4 [0:511];
  reg [17:0] o0, o1, o2, o3; reg [35:0] o4;
  reg [17:0] plain = 0, enabled = 0, twice = 0, one = 1; reg [35:0] wide = 0;
  assign shown = o2;
  always @(posedge clk) begin
    if (we) begin m0[wa] <= d; m1[wa] <= d + 1; m2[wa] <= d + 2; m3[wa] <= d + 3; m4[wa[8:0]] <= d; end
    if (re) begin o0 <= m0[ra]; o1 <= m1[ra]; o2 <= m2[ra]; o3 <= m3[ra]; o4 <= m4[ra[8:0]]; end
    plain <= o0; twice <= o2; one <= o3; wide <= o4;
    if (en) enabled <= o1;
    y <= {wide, one, twice, enabled, plain};
  end
endmodule
"""
"""What every memory shows goes into a register: a plain one, one with an enable, one beside a port, one that is not 0
at first, and a wide one."""


BLOCK_DATA = [f"DO{side}{bit}" for side in "AB" for bit in range(18)]
BLOCK_INPUTS = [
    *(
        f"{port}{side}{bit}"
        for port, bits in (("AD", 14), ("DI", 18), ("CS", 3))
        for side in "AB"
        for bit in range(bits)
    ),
    *(f"{port}{side}" for port in ("CE", "OCE", "RST", "WE") for side in "AB"),
]
BLOCK_SETTINGS = [
    *("ASYNC_RESET_RELEASE", "GSR", "RESETMODE"),
    *(f"{name}{side}" for name in ("CSDECODE_", "DATA_WIDTH_", "WRITEMODE_") for side in "AB"),
    *("CLKAMUX", "CLKBMUX"),
    *(f"INITVAL_{number:02X}" for number in range(64)),
]
BLOCK_MODEL = f"""
module DP16KD({", ".join(f"input {port}" for port in (*BLOCK_INPUTS, "CLKA", "CLKB"))},
    {", ".join(f"output {port}" for port in BLOCK_DATA)});
  {" ".join(f"parameter {setting} = 0;" for setting in BLOCK_SETTINGS)}
  parameter REGMODE_A = "NOREG"; parameter REGMODE_B = "NOREG";
  // What it shows does not matter to where its registers are: a mixture of all that comes in.
  wire [{len(BLOCK_INPUTS) - 1}:0] inputs = {{{", ".join(BLOCK_INPUTS)}}};
  reg [35:0] read = 0, behind = 0;
  always @(posedge CLKB) begin
    if (CEB) read <= inputs ^ (inputs >> 36) ^ (inputs >> 72);
    if (OCEB) behind <= read;
  end
  assign {{{", ".join(BLOCK_DATA[:18])}}} = REGMODE_A == "OUTREG" ? behind[35:18] : read[35:18];
  assign {{{", ".join(BLOCK_DATA[18:])}}} = REGMODE_B == "OUTREG" ? behind[17:0] : read[17:0];
endmodule
"""


def synthesized(folder: Path, design: str = DESIGN) -> dict[str, Any]:
    """The netlist of a design."""
    (folder / "top.v").write_text(design)
    done = yosys(folder, "read_verilog top.v", "synth_ecp5 -nowidelut -top top", "write_json before.json")
    assert not done.returncode, done.stdout + done.stderr
    netlist = json.loads((folder / "before.json").read_text())
    # Without the cells of the library.
    netlist["modules"] = {"top": netlist["modules"]["top"]}
    (folder / "before.json").write_text(json.dumps(netlist))
    return netlist


def is_same(folder: Path, netlist: dict[str, Any]) -> bool:
    """Whether Yosys proves that a netlist does what that of :func:`synthesized` does, in every cycle."""
    netlist["modules"]["absorbed"] = netlist["modules"].pop("top")
    (folder / "after.json").write_text(json.dumps(netlist))
    (folder / "model.v").write_text(MODEL + BLOCK_MODEL)
    return proves(
        folder,
        "read_json before.json",
        "read_json after.json",
        "read_verilog -overwrite +/lattice/cells_sim_ecp5.v model.v",
        "miter -equiv -make_assert top absorbed miter",
        "hierarchy -top miter",
        "proc",
        "flatten",
        "opt -full",
        "async2sync",
        "sat -verify -tempinduct -maxsteps 8 -prove-asserts -set-def-inputs -seq 1 miter",
    )


def registers(netlist: dict[str, Any]) -> int:
    """Registers outside of multipliers."""
    return sum(cell["type"] == REGISTER for cell in netlist["modules"]["top"]["cells"].values())


def taken(netlist: dict[str, Any]) -> list[str]:
    """Which registers the multipliers have, sorted."""
    return sorted(
        "".join(name for name in ("INPUTA", "INPUTB", "OUTPUT") if f"REG_{name}_CLK" in cell["parameters"])
        for cell in netlist["modules"]["top"]["cells"].values()
        if cell["type"] == MULTIPLIER
    )


def test_a_multiplier_takes_plain_registers_and_no_others(tmp_path: Path) -> None:
    netlist = synthesized(tmp_path)
    before = registers(netlist)
    gone = absorb_registers(netlist["modules"]["top"])
    assert taken(netlist) == [
        "",  # two read the product: a register and a port
        "INPUTAINPUTB",  # the product waits for an enable
        "INPUTAINPUTBOUTPUT",
        "OUTPUT",  # an operand with an enable, with a reset, and with another first value
        "OUTPUT",
        "OUTPUT",
    ]
    # Four products, and the one operand that nobody else reads.
    assert gone == 4 * 8 + 4 == before - registers(netlist)
    assert is_same(tmp_path, netlist)


@pytest.mark.parametrize(
    ("settings", "wires"),
    [({"CEMUX": "1"}, {}), ({"REGSET": "RESET"}, {}), ({}, {"LSR": ["0"]})],
    ids=["enable", "first value", "reset"],
)
def test_taking_another_register_would_be_seen(
    settings: dict[str, str], wires: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = absorb._is_plain

    def overlooks(cell: Cell) -> bool:
        return right({**cell, "parameters": cell["parameters"] | settings, "connections": cell["connections"] | wires})

    monkeypatch.setattr(absorb, "_is_plain", overlooks)
    netlist = synthesized(tmp_path)
    absorb_registers(netlist["modules"]["top"])
    assert not is_same(tmp_path, netlist)


def modes(netlist: dict[str, Any]) -> list[tuple[str, str]]:
    """Whether there are registers behind the ports of the block memories, sorted."""
    return sorted(
        (cell["parameters"]["REGMODE_A"], cell["parameters"]["REGMODE_B"])
        for cell in netlist["modules"]["top"]["cells"].values()
        if cell["type"] == MEMORY
    )


def test_a_block_memory_takes_plain_registers_and_no_others(tmp_path: Path) -> None:
    netlist = synthesized(tmp_path, MEMORIES)
    before = registers(netlist)
    assert absorb_registers(netlist["modules"]["top"]) == 18 + 36 == before - registers(netlist)
    # The others: one has an enable, one is not 0 at first, and beside one a port reads.
    assert modes(netlist) == [("NOREG", "NOREG")] * 3 + [("NOREG", "OUTREG"), ("OUTREG", "OUTREG")]
    assert is_same(tmp_path, netlist)


@pytest.mark.parametrize("settings", [{"CEMUX": "1"}, {"REGSET": "RESET"}], ids=["enable", "first value"])
def test_taking_another_register_behind_a_memory_would_be_seen(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = absorb._is_plain
    monkeypatch.setattr(absorb, "_is_plain", lambda cell: right({**cell, "parameters": cell["parameters"] | settings}))
    netlist = synthesized(tmp_path, MEMORIES)
    absorb_registers(netlist["modules"]["top"])
    assert modes(netlist).count(("NOREG", "OUTREG")) == 2
    assert not is_same(tmp_path, netlist)


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_product_that_its_own_multiplier_reads_stays_an_operand_alone(tmp_path: Path, is_shown: bool) -> None:
    shown = "product" if is_shown else "product[7]"
    netlist = synthesized(
        tmp_path,
        f"""
        module top(input clk, input [3:0] a, output [7:0] y);
          reg signed [3:0] ia = 0; reg signed [7:0] product = 0; reg [7:0] seen = 0;
          always @(posedge clk) begin ia <= a; product <= product * ia; seen <= ia; end
          assign y = seen ^ {shown};
        endmodule
        """,
    )
    absorb_registers(netlist["modules"]["top"])
    assert taken(netlist) == ["INPUTAINPUTB"]


def test_registers_of_two_clocks_stay(tmp_path: Path) -> None:
    netlist = synthesized(tmp_path)
    before = registers(netlist)
    for number, cell in enumerate(netlist["modules"]["top"]["cells"].values()):
        if cell["type"] == REGISTER:
            cell["connections"]["CLK"] = [-1 - number]
    assert absorb_registers(netlist["modules"]["top"]) == 0
    assert registers(netlist) == before
