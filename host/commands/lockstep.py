"""``svpg lockstep``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.backend import Port
from host.commands.port import port_of
from host.commands.report import Report, check_seed, check_writable, two_columns
from host.commands.subject import Subject, get_subject
from host.hardware import Hardware, on_board, simulated
from host.interrupts import interruptible
from host.learning_lockstep import check_learns, compare_learning, learning_options
from host.lockstep import BATCH, compare
from host.run import RunFolder
from host.settings import RunConfig, in_mode
from host.tasks import default_algorithm
from sim.case import Case
from sim.device import core_library
from sim.learning_report import FILE, found_lines, write_learning_report
from sim.lesson import LearningCase
from sim.lockstep import replay
from sim.model import VerilatedModel
from sim.report import difference_lines, write_report
from sim.twins import relearn


def run(arguments: argparse.Namespace) -> Report:
    """``svpg lockstep``: golden and the RTL decide the same, or a report says where they do not."""
    if arguments.replay is not None:
        return _replay(arguments)
    if arguments.target is None:
        raise SvpgError("lockstep needs a run folder or a task, or --replay FILE; see svpg lockstep --help")
    if arguments.waves is not None:
        raise SvpgError("--waves records a transaction that is run again; give it with --replay FILE")
    check_seed(arguments.seed)
    port = port_of(arguments, arguments.backend)
    if port is not None and (arguments.multipliers or any(s.startswith("core.") for s in arguments.assignments)):
        raise SvpgError(
            "--multipliers and --set core.KEY choose a build, and the board at --port has one; leave it out"
        )
    if arguments.learn:
        return _learn(arguments, port)
    if arguments.samples is not None:
        raise SvpgError("--samples counts what is learned; give it with --learn, or --decisions without")
    assignments = in_mode(arguments.mode, arguments.assignments)
    subject = get_subject(arguments.target, assignments, arguments.multipliers, arguments.seed, arguments.pretrained)
    with _beside(subject.config, subject.options, port) as hardware:
        return _decisions(subject, hardware, arguments)


@contextlib.contextmanager
def _beside(config: DeviceConfig, options: CoreOptions, port: Port | None) -> Iterator[Hardware]:
    """The hardware beside golden."""
    hardware = simulated(config, options) if port is None else on_board(config, port)
    with interruptible(), contextlib.closing(hardware):
        yield hardware


def _decisions(subject: Subject, hardware: Hardware, arguments: argparse.Namespace) -> Report:
    """Compare decisions."""
    compared = compare(
        subject.task,
        subject.parameters,
        hardware,
        arguments.decisions,
        arguments.policy,
        arguments.seed,
        subject.settings.classify.source,
        arguments.together or BATCH,
    )
    data: dict[str, Any] = {
        "task": subject.task.name,
        "policy": arguments.policy,
        "decisions": compared.decisions,
        "mismatches": compared.mismatches,
        "seconds": round(compared.seconds, 3),
        "decisions_per_s": round(compared.decisions / compared.seconds, 1),
        "cycles_per_decision": compared.cycles,
        "row_words_per_decision": compared.row_words,
        "stalls_per_decision": compared.stalls,
    }
    if compared.case is not None:
        data["report"] = str(write_report(arguments.out, compared.case, hardware.fresh, _command))
    return Report(data, two_columns(data), status=compared.mismatches)


def _learn(arguments: argparse.Namespace, port: Port | None) -> Report:
    """``--learn``: golden and the RTL learn the same, or a report says where they do not."""
    if arguments.decisions is not None:
        raise SvpgError("--decisions counts what is played; with --learn give --samples")
    if arguments.together is not None:
        raise SvpgError("--together is of episodes that are played; leave it out with --learn")
    target = arguments.target
    assignments = in_mode(arguments.mode, arguments.assignments)
    subject = get_subject(target, assignments, arguments.multipliers, arguments.seed)
    if subject.has_run:
        _, config = RunFolder.open(target)
        config = dataclasses.replace(config, backend="golden", settings=subject.settings)
    else:
        algorithm = default_algorithm(subject.task)
        config = RunConfig(subject.task.name, "golden", algorithm, arguments.seed, subject.settings)
    options = learning_options(config, subject.options)
    check_learns(config, options)
    with _beside(subject.config, options, port) as hardware:
        return _samples(config, subject, hardware, arguments)


def _samples(config: RunConfig, subject: Subject, hardware: Hardware, arguments: argparse.Namespace) -> Report:
    """Compare what is learned."""
    compared = compare_learning(config, hardware, arguments.samples)
    data: dict[str, Any] = {
        "task": subject.task.name,
        "rule": config.settings.learning.rule,
        "optimiser": config.settings.learning.optimiser,
        "episodes": compared.episodes,
        "decisions": compared.decisions,
        "samples": compared.samples,
        "updates": compared.updates,
        "mismatches": compared.mismatches,
        "seconds": round(compared.seconds, 3),
        "samples_per_s": round(compared.samples / compared.seconds, 1),
        "cycles_per_sample": compared.cycles,
        "cycles_per_update": compared.update_cycles,
    }
    if compared.case is not None:
        data["report"] = str(write_learning_report(arguments.out, compared.case, hardware.fresh, _command))
    return Report(data, two_columns(data), status=compared.mismatches)


def _command(file: Path) -> str:
    """The command that replays a case."""
    return shlex.join(["svpg", "lockstep", "--replay", str(file), "--waves", str(file.with_name("waves.fst"))])


def _replay(arguments: argparse.Namespace) -> Report:
    if arguments.target is not None or arguments.assignments or arguments.multipliers or arguments.mode:
        raise SvpgError(
            "--replay has its device and parameters in the file; leave the run, task, mode and settings out"
        )
    again = _relearn if arguments.replay.name == FILE else _decide
    data, lines, differs = again(arguments.replay, arguments.waves)
    text = "\n".join((two_columns(data), *lines))
    if arguments.waves is not None:
        data["waves"] = str(arguments.waves)
        text += f"\nWaves are in {arguments.waves}; cycle n begins at time 2n."
    return Report(data, text, status=int(differs))


Replayed = tuple[dict[str, Any], Iterable[str], bool]
"""Results, lines for people behind them, and whether golden and hardware differ again."""


@contextlib.contextmanager
def _hardware(file: Path, case: Case | LearningCase, waves: Path | None) -> Iterator[VerilatedModel]:
    """A fresh core for a case, its waves recorded if wanted."""
    if waves is not None:
        check_writable(waves)
    try:
        options = CoreOptions(**case.options)
    except TypeError as error:
        raise SvpgError(f"{file}: made for a core with other options ({error})") from error
    model = VerilatedModel(core_library(case.config, options, waves is not None))
    if waves is not None:
        model.record(waves)
    yield model
    if waves is not None:
        model.stop_recording()


def _decide(file: Path, waves: Path | None) -> Replayed:
    """``--replay`` of a decision."""
    case = Case.load(file)
    began: list[int] = []
    with _hardware(file, case, waves) as model:
        device = FrameDevice(case.config, model)
        result = replay(case, device, history=True, before_last=lambda: began.append(model.cycles))
    data: dict[str, Any] = {
        "transactions": len(case.transactions),
        "differs": result.differs,
        "fields": result.fields,
        "fault": result.fault,
        "first_cycle": began[0] if began else None,
        "last_cycle": model.cycles,
    }
    lines: Iterable[str] = ()
    if result.answer is not None and result.fields:
        lines = difference_lines(case.config, case.golden, result.answer)
    return data, lines, result.differs


def _relearn(file: Path, waves: Path | None) -> Replayed:
    """``--replay`` of what was learned."""
    case = LearningCase.load(file)
    with _hardware(file, case, waves) as model:
        found = relearn(case, FrameDevice(case.config, model))
    data: dict[str, Any] = {
        "samples": len(case.lessons),
        "differs": found.differs,
        "fields": list(found.golden),
        "fault": found.fault,
        "first_sample": found.sample,
        "last_cycle": model.cycles,
    }
    return data, found_lines(case, found), found.differs
