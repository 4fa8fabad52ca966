"""``svpg plan``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from hdl.boards.catalogue import BOARDS, RESOURCE_NAMES
from host.board_subject import get_wanted
from host.commands.report import Report
from sim.plan import Plan


def run(arguments: argparse.Namespace) -> Report:
    """``svpg plan``: what a build takes of every board, how fast it will be, and why it does not fit."""
    wanted = get_wanted(arguments.target, arguments.assignments, arguments.learn)
    plans = [wanted.on(board) for board in BOARDS.values()]
    data = {"task": wanted.subject.task.name, "boards": [plan_data(plan) for plan in plans]}
    return Report(data, "\n\n".join(_paragraph(plan) for plan in plans))


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan, for ``--json``."""
    board, clock = plan.board, plan.board.clock / 1e6
    return {
        "board": board.name,
        "fits": not plan.problems,
        "problems": list(plan.problems),
        "lanes": plan.config.lanes,
        "options": dataclasses.asdict(plan.options),
        **{name: getattr(plan.needs, name) for name in RESOURCE_NAMES},
        "bram_kbit": plan.memory_kbit,
        "clock_mhz": clock,
        "cycles_per_decision": round(plan.decision_cycles, 1),
        "us_per_decision": round(plan.decision_cycles / clock, 2),
        "cycles_per_sample": {rule: round(cycles) for rule, cycles in plan.sample_cycles.items()},
        "us_per_sample": {rule: round(cycles / clock, 2) for rule, cycles in plan.sample_cycles.items()},
    }


def _paragraph(plan: Plan) -> str:
    data, board = plan_data(plan), plan.board
    uses = [
        f"{words} {getattr(plan.needs, name):,} of {getattr(board.resources, name):,}"
        for name, words in RESOURCE_NAMES.items()
        if getattr(board.resources, name)
    ]
    samples = "".join(
        f"; a sample, {rule}: about {cycles} cycles, {data['us_per_sample'][rule]} µs"
        for rule, cycles in data["cycles_per_sample"].items()
    )
    return "\n".join(
        [
            f"{board.name} ({board.title}): {'does not fit: ' + '; '.join(plan.problems) if plan.problems else 'fits'}",
            f"  {plan.core}, {plan.memory_kbit:,} kbit of block memory",
            f"  {', '.join(uses)}",
            f"  {data['clock_mhz']:g} MHz; a decision: {data['cycles_per_decision']} cycles, "
            f"{data['us_per_decision']} µs{samples}",
        ]
    )
