"""``svpg lockstep``."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from golden.client import FrameDevice
from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.commands.report import Report, check_seed, check_writable, two_columns
from host.commands.subject import get_subject
from host.lockstep import compare, fresh_core
from sim.case import Case
from sim.device import core_library
from sim.lockstep import replay
from sim.model import VerilatedModel
from sim.report import difference_lines, write_report


def run(arguments: argparse.Namespace) -> Report:
    """``svpg lockstep``: golden and the RTL decide the same, or a report says where they do not."""
    if arguments.replay is not None:
        return _replay(arguments)
    if arguments.target is None:
        raise SvpgError("lockstep needs a run folder or a task, or --replay FILE; see svpg lockstep --help")
    if arguments.waves is not None:
        raise SvpgError("--waves records a transaction that is run again; give it with --replay FILE")
    check_seed(arguments.seed)
    subject = get_subject(arguments.target, arguments.assignments, arguments.multipliers, arguments.seed)
    compared = compare(
        subject.task,
        subject.config,
        subject.parameters,
        subject.options,
        arguments.decisions,
        arguments.policy,
        arguments.seed,
        subject.settings.classify.source,
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
        case = compared.case
        path = write_report(arguments.out, case, lambda: fresh_core(subject.config, subject.options), _command)
        data["report"] = str(path)
    return Report(data, two_columns(data), status=compared.mismatches)


def _command(file: Path) -> str:
    """The command that replays a case."""
    return shlex.join(["svpg", "lockstep", "--replay", str(file), "--waves", str(file.with_name("waves.fst"))])


def _replay(arguments: argparse.Namespace) -> Report:
    if arguments.target is not None or arguments.assignments or arguments.multipliers:
        raise SvpgError("--replay has its device and parameters in the file; leave the run, task and settings out")
    case = Case.load(arguments.replay)
    waves: Path | None = arguments.waves
    if waves is not None:
        check_writable(waves)
    try:
        options = CoreOptions(**case.options)
    except TypeError as error:
        raise SvpgError(f"{arguments.replay}: made for a core with other options ({error})") from error
    model = VerilatedModel(core_library(case.config, options, waves is not None))
    if waves is not None:
        model.record(waves)
    device = FrameDevice(case.config, model)
    began: list[int] = []
    result = replay(case, device, history=True, before_last=lambda: began.append(model.cycles))
    if waves is not None:
        model.stop_recording()
    data: dict[str, Any] = {
        "transactions": len(case.transactions),
        "differs": result.differs,
        "fields": result.fields,
        "fault": result.fault,
        "first_cycle": began[0] if began else None,
        "last_cycle": model.cycles,
    }
    text = two_columns(data)
    if result.answer is not None and result.fields:
        text += "\n" + "\n".join(difference_lines(case.config, case.golden, result.answer))
    if waves is not None:
        data["waves"] = str(waves)
        text += f"\nWaves are in {waves}; cycle n begins at time 2n."
    return Report(data, text, status=int(result.differs))
