"""``svpg boards``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.errors import SvpgError
from golden.files import make_folder, write_atomically
from hdl.boards.catalogue import get_board
from hdl.compact.instructions import WORD_BITS
from hdl.compact.store import BANK_WORDS, HALVES
from host.board_build import build_board
from host.board_subject import get_wanted
from host.commands.report import Report
from host.hardware_bench import trained_run
from sim.plan import MOST_LANES

PAGE = "boards.md"
"""The table; the reports it is made of are in a folder of the same name beside it."""

SINGLE_PORT_KBIT = BANK_WORDS * WORD_BITS // HALVES // 1024
"""Bits of a single-port memory, in 1024."""


@dataclass(frozen=True)
class Case:
    """A build of the table.

    Parameters
    ----------
    board: its name.
    net: of :data:`host.hardware_bench.TRAINED`.
    assignments: settings as for ``--set``.
    seed: of the first placement.
    """

    board: str
    net: str
    assignments: tuple[str, ...] = ()
    seed: int = 1


LEARNS = ("core.rules=contrastive", "core.optimisers=sign", "core.products=1")
"""The smallest build that learns to balance the pendulum (docs/results/widths.md)."""

CASES = {
    "ulx3s-85f-pendulum-learning": Case(
        "ulx3s-85f", "pendulum", (*LEARNS, "core.shared=false", "network.lanes=7", "core.softmax_lanes=2")
    ),
    "ulx3s-85f-pendulum-learning-wide": Case(
        "ulx3s-85f",
        "pendulum",
        (*LEARNS, "core.shared=false", "network.lanes=9", "core.words=8", "core.softmax_lanes=4"),
        seed=2,
    ),
    "ulx3s-85f-mnist": Case("ulx3s-85f", "mnist-20x10", ("network.lanes=30", "core.softmax_lanes=2"), seed=3),
    "ulx3s-25f-pendulum": Case("ulx3s-25f", "pendulum", ("network.lanes=7", "core.softmax_lanes=3")),
    "icebreaker-pendulum-learning": Case("icebreaker", "pendulum", LEARNS[:2]),
}
"""All builds, by name."""


def run(arguments: argparse.Namespace) -> Report:
    """``svpg boards``: build all cases, or some, and write the table of all there are reports of."""
    names = arguments.cases or list(CASES)
    for name in names:
        if name not in CASES:
            raise SvpgError(f"unknown case {name!r}; choose among {', '.join(CASES)}")
    folder = arguments.out / Path(PAGE).stem
    make_folder(folder)
    for name in names:
        print(name, file=sys.stderr, flush=True)
        text = json.dumps(_build(name), indent=2) + "\n"
        _write(folder / f"{name}.json", text)
    page = markdown(reports(folder))
    _write(arguments.out / PAGE, page)
    return Report(reports(folder), page)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda stream: stream.write(text.encode()))


def reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports that a folder holds, by case."""
    return {name: json.loads(path.read_text()) for name in CASES if (path := folder / f"{name}.json").is_file()}


def _build(name: str) -> dict[str, Any]:
    """The report of a case. One that does not fit is built as well, to see by how much."""
    case = CASES[name]
    board = get_board(case.board)
    wanted = get_wanted(str(trained_run(case.net)), case.assignments, learn=False)
    plan = wanted.on(board)
    built = build_board(wanted, plan, Path("build") / "boards" / name, board.clock, case.seed, attempts=3)
    return {"case": name, "problem": built.problem, **built.data}


def markdown(data: dict[str, dict[str, Any]]) -> str:
    """The page."""
    lines = [
        "# Boards",
        "",
        "Builds after place and route, with the link and the UART; written by `svpg boards` from the reports in",
        "[boards/](boards), which hold the settings of each. Nets are trained by golden, seed 0. Cycles of a decision",
        "are the mean over 40 observations and exact; those of a sample are predicted. In brackets: what `svpg plan`",
        "says.",
        "",
        f"Where lanes are not given, `svpg plan` proposes {MOST_LANES} at most, which meet the clock from the first",
        "placement on; more lanes decide faster. Weights of wider builds lie in banks (`core.banked`). *9 × 8* lanes",
        "learn with nine and decide with 72: inference takes eight row words per cycle (`core.words`). An iCEBreaker",
        "holds the compact core ([compact.md](../compact.md)), which has no lanes.",
        "",
        "What makes wide builds possible: tables of four inputs only, and nextpnr's static placer (35 lanes that",
        "learn: wires of 242,000 tiles instead of 352,000 with the other placer). With that one, `heap`, 9 × 8 lanes",
        "had routes for 20,000 of 88,000 connections after 160 s, and from the static one's placement for all after",
        "210; but the 25F, which is fuller, is built within two minutes with `heap`, and was not in six otherwise. 69",
        "lanes of inference, with eight of softmax, had 7,000 connections without routes when they were stopped after",
        "ten minutes. From other placements than those of the table, MNIST had 79.0 (seed 1) and 9 × 8 lanes 78.6 MHz.",
        "",
        "What makes them fast: nextpnr's router1. The other, router2, goes around crowds at the cost of the clock,",
        "even where it takes up late wires again: with it the builds below had 68.3 (MNIST), 76.4 (9 × 8 lanes),",
        "86.7 (7 lanes) and 87.0 MHz (25F), after longer. Multipliers of an ECP5 take registers of their operands and",
        "products into themselves; with 72 lanes 3,192 registers are gone, and wires are 189,000 tiles instead of",
        "213,000. MNIST's weights fill 190 blocks all over the chip, and what chose among them was late; with banks",
        "and a register at each it is not, and 3,360 of these registers (42 lanes) lie within the blocks.",
        "",
        "| build | lanes, of softmax | learns | LUTs | multipliers | block memory (kbit) | Fmax (MHz) | clock (MHz) "
        "| decision | sample |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, one) for name, one in data.items()]
    lines += ["", "## Slowest paths, and what does not fit", ""]
    for name, one in data.items():
        path = one["critical_path"]
        if one["problem"]:
            lines.append(f"- {name}: no bitstream: {one['problem']}")
        elif path:
            lines.append(
                f"- {name}: {path['ns']} ns, {path['routing_ns']} of them on wires, from `{path['from']}` to "
                f"`{path['to']}`"
            )
    return "\n".join([*lines, ""])


def _row(name: str, one: dict[str, Any]) -> str:
    block_kbit = one["bram_kbit"] // max(one["block_rams"], 1)
    learns = f"{', '.join(one['rules'])}; {', '.join(one['optimisers'])}" if one["rules"] else "no"
    samples = "; ".join(
        f"{cycles} cycles, {one['us_per_sample'][rule]} µs" for rule, cycles in one["cycles_per_sample"].items()
    )
    planned = one["predicted"]
    words = one["options"].get("words", 1)
    together = f" × {words}" if words > 1 else ""
    lanes = "compact" if one["options"].get("compact") else f"{one['lanes']}{together}, {one['softmax_lanes']}"
    single = f" and {one['big_rams'] * SINGLE_PORT_KBIT:,} single-port" if one.get("big_rams") else ""
    return (
        f"| {name} | {lanes} | {learns} | {one['luts']:,} ({planned['luts']:,}) "
        f"| {one['multipliers']} ({planned['multipliers']}) "
        f"| {one['bram_kbit']:,} ({planned['block_rams'] * block_kbit:,}){single} | {one['fmax_mhz'] or '–'} "
        f"| {one['clock_mhz']:g} | {one['cycles_per_decision']} cycles, {one['us_per_decision']} µs "
        f"| {samples or '–'} |"
    )
