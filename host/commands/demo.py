"""``svpg demo``: the first thing a user runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.cli import build_parser
from host.commands import play
from host.commands.report import Report, two_columns
from host.hardware import simulated
from host.lockstep import compare
from host.run import RunFolder
from host.settings import RunConfig
from host.tasks import get_task
from host.training import extended
from host.training import train as train_run

MULTIPLIERS = 72
"""Multipliers of the hardware that plays."""

LOCKSTEP_DECISIONS = 2000
"""Ten episodes of a policy that holds the pole."""


def run(arguments: argparse.Namespace) -> Report:
    """Train the pendulum on golden, play it greedily, leave a curve and an animation; then play it on the RTL as well.

    A demo that was interrupted goes on; one that is done is played again.
    """
    task = get_task("inverted-pendulum")
    config = RunConfig(task.name, "golden", "ppo", arguments.seed, task.defaults("golden", "ppo"))
    config = extended(config, arguments.episodes)
    path: Path = arguments.run
    there = RunFolder(path).config_file.exists()
    if there and RunConfig.load(RunFolder(path).config_file) != config:
        raise SvpgError(f"{path}: holds a run with other settings; remove it or choose another --run")
    result = train_run(config, str(path), resume=there)
    animation = path / "pendulum.gif"
    played = play.run(build_parser().parse_args(["play", str(path), "--episodes", "10", "--gif", str(animation)])).data
    network = config.settings.network
    compared = compare(
        task,
        RunFolder(path).parameters(),
        simulated(network, CoreOptions.within(network, MULTIPLIERS)),
        LOCKSTEP_DECISIONS,
        "greedy",
        episodes=10,
    )
    data = {
        "run": str(path),
        "solved": result.solved,
        "solved_episode": result.solved_episode,
        "episodes": result.episodes,
        "seconds": round(result.seconds, 3),
        "best_validation": result.best_validation,
        "play": played,
        "lockstep": {
            "decisions": compared.decisions,
            "mismatches": compared.mismatches,
            "cycles_per_decision": compared.cycles,
            "decisions_per_s": round(compared.decisions / compared.seconds, 1),
        },
    }
    rows = {
        "task": task.title,
        "device": json.dumps({k: getattr(config.settings.network, k) for k in ("inputs", "groups", "group_size")}),
        "solved": f"yes, at episode {result.solved_episode}" if result.solved else "no",
        "episodes": result.episodes,
        "training time": f"{result.seconds:.1f} s",
        "best validation": f"{result.best_validation:.1f} of 200",
        "greedy play": f"{played['mean_return']:.1f} ± {played['std_return']:.1f} over {played['episodes']} episodes",
        "decisions per second": f"{played['decisions_per_s']:.0f}",
        "hardware (RTL) beside it": f"{compared.decisions} decisions, {compared.mismatches} differ",
        "cycles per decision": f"{compared.cycles:.1f}",
        "learning curve": path / "curve.png",
        "animation": animation,
    }
    return Report(data, two_columns(rows), status=int(not result.solved or compared.mismatches > 0))
