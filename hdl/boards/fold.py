"""Constant zeros at the inputs of an ECP5's tables become part of their content."""

FOLD_FILE = "fold.map"
"""Name of the file that the tools read."""

FOLD = """
// An input that is 0 needs a wire, one that is 1 does not; Yosys ties the inputs that a table does not use to 0.
// Thousands of wires of one net are saved by asking for 1 there. What a table answers stays the same.
(* techmap_celltype = "LUT4" *)
module fold_lut4 (input A, B, C, D, output Z);
  parameter [15:0] INIT = 0;
  parameter _TECHMAP_CONSTMSK_A_ = 0; parameter _TECHMAP_CONSTVAL_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0; parameter _TECHMAP_CONSTVAL_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0; parameter _TECHMAP_CONSTVAL_C_ = 0;
  parameter _TECHMAP_CONSTMSK_D_ = 0; parameter _TECHMAP_CONSTVAL_D_ = 0;
  localparam a = _TECHMAP_CONSTMSK_A_ && !_TECHMAP_CONSTVAL_A_;
  localparam b = _TECHMAP_CONSTMSK_B_ && !_TECHMAP_CONSTVAL_B_;
  localparam c = _TECHMAP_CONSTMSK_C_ && !_TECHMAP_CONSTVAL_C_;
  localparam d = _TECHMAP_CONSTMSK_D_ && !_TECHMAP_CONSTVAL_D_;
  wire _TECHMAP_FAIL_ = !(a || b || c || d);
  localparam [15:0] ia = a ? (INIT & 16'h5555) | ((INIT & 16'h5555) << 1) : INIT;
  localparam [15:0] ib = b ? (ia & 16'h3333) | ((ia & 16'h3333) << 2) : ia;
  localparam [15:0] ic = c ? (ib & 16'h0f0f) | ((ib & 16'h0f0f) << 4) : ib;
  localparam [15:0] id = d ? (ic & 16'h00ff) | ((ic & 16'h00ff) << 8) : ic;
  LUT4 #(.INIT(id)) _TECHMAP_REPLACE_ (.A(a ? 1'b1 : A), .B(b ? 1'b1 : B), .C(c ? 1'b1 : C), .D(d ? 1'b1 : D), .Z(Z));
endmodule

(* techmap_celltype = "CCU2C" *)
module fold_ccu2c (input CIN, A0, B0, C0, D0, A1, B1, C1, D1, output S0, S1, COUT);
  parameter [15:0] INIT0 = 0; parameter [15:0] INIT1 = 0;
  parameter INJECT1_0 = "YES"; parameter INJECT1_1 = "YES";
  parameter _TECHMAP_CONSTMSK_C0_ = 0; parameter _TECHMAP_CONSTVAL_C0_ = 0;
  parameter _TECHMAP_CONSTMSK_C1_ = 0; parameter _TECHMAP_CONSTVAL_C1_ = 0;
  parameter _TECHMAP_CONSTMSK_D0_ = 0; parameter _TECHMAP_CONSTVAL_D0_ = 0;
  parameter _TECHMAP_CONSTMSK_D1_ = 0; parameter _TECHMAP_CONSTVAL_D1_ = 0;
  // The carry looks at bits 3..0 of the content: only where D is 1 may what C selects be changed.
  localparam c0 = _TECHMAP_CONSTMSK_C0_ && !_TECHMAP_CONSTVAL_C0_ && _TECHMAP_CONSTMSK_D0_ && _TECHMAP_CONSTVAL_D0_;
  localparam c1 = _TECHMAP_CONSTMSK_C1_ && !_TECHMAP_CONSTVAL_C1_ && _TECHMAP_CONSTMSK_D1_ && _TECHMAP_CONSTVAL_D1_;
  wire _TECHMAP_FAIL_ = !(c0 || c1);
  localparam [15:0] i0 = c0 ? {INIT0[11:8], INIT0[11:0]} : INIT0;
  localparam [15:0] i1 = c1 ? {INIT1[11:8], INIT1[11:0]} : INIT1;
  CCU2C #(.INIT0(i0), .INIT1(i1), .INJECT1_0(INJECT1_0), .INJECT1_1(INJECT1_1)) _TECHMAP_REPLACE_ (
    .CIN(CIN), .A0(A0), .B0(B0), .C0(c0 ? 1'b1 : C0), .D0(D0), .A1(A1), .B1(B1), .C1(c1 ? 1'b1 : C1), .D1(D1),
    .S0(S0), .S1(S1), .COUT(COUT));
endmodule
"""
"""A map for the command ``techmap`` of Yosys."""

FOLD_COMMANDS = (f"techmap -map {FOLD_FILE}", "opt_expr", "clean")
"""Commands behind the synthesis."""
