"""The command line ``svpg``.

Exit status: 0 done, 1 a check failed, 2 bad input (one line on stderr), 130 interrupted. With ``--json`` the
last thing on stdout is one JSON object (for ``bench`` a list). Heavy modules are imported by the command that
needs them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from golden.errors import SvpgError
from golden.modes import MODES

EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Usage errors in the one form that all errors have."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise SvpgError(f"{message}; see {self.prog} --help")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_positive.__name__ = "positive integer"


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


_count.__name__ = "number from 0 on"


def _add_build_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=MODES, help="default: as trained; rate for a task")
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="network.KEY: the device; core.KEY: the build (softmax_lanes, rounds_per_cycle, in_logic)",
    )
    parser.add_argument("--multipliers", type=_positive, metavar="N", help="the fastest build within so many")


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="PORT", help="serial port of the board (backend board)")
    parser.add_argument(
        "--baud", type=_positive, metavar="N", help="bits per second of its bitstream (default: 3000000)"
    )


def _megahertz(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 400:
        raise ValueError
    return value


_megahertz.__name__ = "clock from 1 to 400 MHz"


def _add_board_subject(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TASK|RUN", help="task name or run folder")
    parser.add_argument("--learn", action="store_true", help="with the rule and optimiser that the settings name")
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="network.KEY: the device; core.KEY: the build; lanes that are not set are chosen for the board",
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; each is a module of :mod:`host.commands`."""
    parser = _Parser(prog="svpg", description="Spiking variational policy gradient on winner-take-all networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", help="print one machine-readable object last on stdout")
        return sub

    train = command("train", "train a task into a run folder")
    train.add_argument("task", metavar="TASK", help="task name; svpg info lists them")
    train.add_argument("--backend", help="device (default: golden)")
    _add_port(train)
    train.add_argument("--mode", choices=MODES, help="inference mode (default: rate)")
    train.add_argument("--algorithm", choices=("ppo", "reinforce"), help="default: the task's")
    train.add_argument("--seed", type=int, help="every random number follows from it (default: 0)")
    train.add_argument("--episodes", type=_positive, help="budget; batches for a classification task")
    train.add_argument("--run", type=Path, metavar="DIR", help="run folder (default: runs/TASK-BACKEND-SEED)")
    train.add_argument("--resume", action="store_true", help="go on from the run folder's last checkpoint")
    train.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE", help="override a setting"
    )

    play = command("play", "play a trained run without learning")
    play.add_argument("run", type=Path, metavar="RUN", help="run folder, agent file of svpg pack, or a task")
    play.add_argument("--pretrained", action="store_true", help="the agent of that task that comes with the project")
    play.add_argument("--backend", help="device (default: the one it was trained on)")
    _add_port(play)
    play.add_argument("--episodes", type=_positive, default=10, help="default: 10; classification has one")
    play.add_argument("--seed", type=int, default=0, help="starts of the episodes (default: 0)")
    play.add_argument("--gif", type=Path, metavar="FILE", help="draw the first episode")
    play.add_argument("--raster", type=Path, metavar="FILE", help="draw the spikes of the first decision (spike mode)")
    play.add_argument(
        "--raster-group", type=int, metavar="N", help="group whose potentials --raster draws (default: the actions)"
    )
    play.add_argument(
        "--env",
        dest="environment",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another world than the one trained in: pole_length, pole_thickness (inverted-pendulum)",
    )
    play.add_argument("--policy", choices=("greedy", "sample"), help="default: greedy, where rooms vary sample")
    play.add_argument("--mode", choices=MODES, help="default: the one it was trained in")
    play.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="network.KEY=VALUE",
        help="another device than the one it was trained on",
    )

    pack = command("pack", "put a trained agent into one small file")
    pack.add_argument("run", type=Path, metavar="RUN", help="run folder")
    pack.add_argument("--out", type=Path, required=True, metavar="FILE", help="such as agent.npz")

    infer = command("infer", "decide stored observations")
    infer.add_argument("--params", type=Path, required=True, metavar="P.npz", help="parameter file")
    infer.add_argument("--obs", type=Path, required=True, metavar="X.npz", help="obs (B, S); q0 (B, N) on float")
    infer.add_argument("--backend", default="golden", help="device (default: golden)")
    _add_port(infer)
    infer.add_argument("--iterations", type=_positive, metavar="T", help="most softmax passes (default: as trained)")
    infer.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="network.KEY=VALUE",
        help="another device than the one the parameters were trained with",
    )
    infer.add_argument("--mode", choices=MODES, help="default: as trained")
    policies = ("greedy", "sample", "conditional")
    infer.add_argument("--policy", choices=policies, default="sample", help="default: sample")
    infer.add_argument("--seed", type=int, default=0, help="of sampled winners (default: 0)")
    infer.add_argument("--out", type=Path, required=True, metavar="Y.npz", help="q, winners, action_prob, iterations")

    lockstep = command("lockstep", "run golden and the RTL side by side; stop at the first differing bit with a report")
    lockstep.add_argument(
        "target", nargs="?", metavar="RUN|TASK", help="run folder, agent file, or a task with random weights"
    )
    lockstep.add_argument(
        "--pretrained", action="store_true", help="the agent of that task that comes with the project"
    )
    lockstep.add_argument("--backend", choices=("rtl", "board"), default="rtl", help="beside golden (default: rtl)")
    _add_port(lockstep)
    lockstep.add_argument("--decisions", type=_positive, help="default: 10000; classification: the test split")
    lockstep.add_argument(
        "--together", type=_positive, metavar="N", help="episodes that are played at a time (default: 64)"
    )
    lockstep.add_argument("--learn", action="store_true", help="train on both, compare counters and all memories too")
    lockstep.add_argument("--samples", type=_positive, help="with --learn: at least so many (default: 20000)")
    lockstep.add_argument("--policy", choices=policies, default="sample", help="default: sample")
    lockstep.add_argument("--seed", type=int, default=0, help="of episodes and draws (default: 0)")
    lockstep.add_argument(
        "--out", type=Path, default=Path("lockstep"), metavar="DIR", help="report (default: lockstep)"
    )
    lockstep.add_argument("--replay", type=Path, metavar="FILE", help="run a report's transaction.npz again")
    lockstep.add_argument("--waves", type=Path, metavar="FILE", help="with --replay: record all signals, FST")
    _add_build_settings(lockstep)

    rtl = command("rtl", "export the RTL as Verilog with a description of its interface")
    rtl.add_argument("target", metavar="TASK|RUN", help="task name or run folder")
    rtl.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    rtl.add_argument("--estimate", action="store_true", help="what Yosys would take of an Artix-7 or Zynq-7000")
    _add_build_settings(rtl)

    build = command("build", "make a bitstream for a board, with a report")
    build.add_argument("board", metavar="BOARD", help="ulx3s-85f, ulx3s-25f or icebreaker")
    _add_board_subject(build)
    build.add_argument("--out", type=Path, metavar="DIR", help="folder for the files (default: build/BOARD-TASK)")
    build.add_argument("--clock", type=_megahertz, default=0.0, metavar="MHZ", help="core (default: the board's)")
    build.add_argument("--seed", type=int, default=1, help="of the placement (default: 1)")
    build.add_argument(
        "--attempts",
        type=_positive,
        default=3,
        help="placements, of one seed after the other, while the clock is missed by little (default: 3)",
    )
    build.add_argument("--program", action="store_true", help="hand the bitstream to the board with openFPGALoader")

    plan = command("plan", "predict what a build takes of each board, and how fast it will be")
    _add_board_subject(plan)

    simulate = command("simulate-board", "run a board in simulation, behind a serial port as a real one has it")
    simulate.add_argument("board", metavar="BOARD", help="ulx3s-85f, ulx3s-25f or icebreaker")
    _add_board_subject(simulate)
    simulate.add_argument("--at", type=Path, metavar="PATH", help="also give the port this name (a symbolic link)")
    simulate.add_argument("--clock", type=_megahertz, default=0.0, metavar="MHZ", help="core (default: the board's)")

    boards = command("boards", "build for all boards and write the table of docs/results")
    boards.add_argument("cases", nargs="*", metavar="CASE", help="builds to make anew (default: all)")
    boards.add_argument("--out", type=Path, default=Path("docs/results"), metavar="DIR", help="default: docs/results")

    bench = command("bench", "measure speed")
    bench.add_argument("selection", nargs="*", metavar="NAME", help="benchmarks (default: all)")
    bench.add_argument("--mode", choices=MODES, help="those of one inference mode alone")
    bench.add_argument("--quick", action="store_true", help="shorter and less exact")

    study = command("study", "regenerate a table and picture of docs/results")
    study.add_argument(
        "name",
        choices=("rules", "widths", "control", "spikes", "doom", "robots"),
        metavar="NAME",
        help="rules, widths, control, spikes, doom or robots",
    )
    study.add_argument("--seeds", type=_positive, help="runs per case (default: the study's)")
    study.add_argument("--out", type=Path, default=Path("docs/results"), metavar="DIR", help="default: docs/results")
    study.add_argument("--journal", type=Path, metavar="FILE", help="finished runs; a new name runs all anew")
    study.add_argument("--quick", action="store_true", help="a few minutes, to try it out")
    study.add_argument(
        "--workers", type=_count, default=2, help="runs side by side (default: 2); 0 reports what is finished"
    )

    mutate = command("mutate", "check that the regression of the core notices faults in its gates")
    mutate.add_argument("--mutants", type=_positive, default=150, metavar="N", help="per device (default: 150)")
    mutate.add_argument("--seed", type=int, default=0, help="of their choice (default: 0)")
    mutated = ("wide", "pendulum", "learning", "spiking", "spike-learning")
    mutate.add_argument("--device", action="append", choices=mutated, help="default: all")
    mutate.add_argument("--out", type=Path, default=Path("docs/results"), metavar="DIR", help="default: docs/results")

    coverage = command("coverage", "report what of the core's Verilog its regression touches")
    coverage.add_argument("--device", action="append", choices=("wide", "pendulum", "learning"), help="default: all")
    coverage.add_argument("--out", type=Path, default=Path("docs/results"), metavar="DIR", help="default: docs/results")

    info = command("info", "print versions, backends and tasks, or a run's configuration")
    info.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder")

    demo = command("demo", "train the inverted pendulum and play it")
    demo.add_argument("--run", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    demo.add_argument("--seed", type=int, default=0, help="default: 0")
    demo.add_argument("--episodes", type=_positive, help="training budget")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        arguments = build_parser().parse_args(argv)
        # Only the chosen command is imported: PyTorch and Numba take seconds.
        module = arguments.command.replace("-", "_")
        report = importlib.import_module(f"host.commands.{module}").run(arguments)
        if arguments.json:
            print(json.dumps(report.data), flush=True)
        else:
            print(report.text, flush=True)
        return report.status
    except SvpgError as error:
        print(f"svpg: error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("svpg: interrupted; a run goes on from its last checkpoint with --resume", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
