"""``svpg train``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from golden.errors import SvpgError
from host.backends.registry import check_backend, get_entry
from host.commands.port import port_of
from host.commands.report import Report
from host.interrupts import interruptible
from host.run import RunFolder
from host.settings import RunConfig, in_mode
from host.tasks import Task, default_algorithm, get_task
from host.training import extended
from host.training import train as train_run


def run(arguments: argparse.Namespace) -> Report:
    """``svpg train``: a new run, or the rest of one."""
    task = get_task(arguments.task)
    backend = arguments.backend or "golden"
    seed = 0 if arguments.seed is None else arguments.seed
    path = arguments.run or Path("runs") / f"{task.name}-{backend}-{seed}"
    if arguments.resume:
        config = _resumed(arguments, task, path)
    else:
        algorithm = arguments.algorithm or default_algorithm(task)
        settings = task.settings(backend, algorithm, in_mode(arguments.mode, arguments.assignments))
        check_backend(backend, settings.network.mode)
        config = RunConfig(task.name, backend, algorithm, seed, settings)
    port = port_of(arguments, config.backend)
    with interruptible():
        result = train_run(extended(config, arguments.episodes), path, arguments.resume, port)
    data = {
        "run": str(path),
        "solved": result.solved,
        "solved_episode": result.solved_episode,
        "episodes": result.episodes,
        "seconds": round(result.seconds, 3),
        "best_validation": result.best_validation,
    }
    verdict = f"solved at episode {result.solved_episode}" if result.solved else "threshold not held"
    unit = "episodes" if task.environment else "batches"
    if not config.settings.training.hold:
        verdict = "budget used"
    text = (
        f"{task.name} on {config.backend}: {verdict}; best validation {result.best_validation:.4g} "
        f"after {result.episodes} {unit} ({result.seconds:.1f} s). Run folder: {path}"
    )
    return Report(data, text)


def _resumed(arguments: argparse.Namespace, task: Task, path: Path) -> RunConfig:
    """Settings of the run in ``path``; arguments that contradict them are refused."""
    _, config = RunFolder.open(path)
    if arguments.assignments:
        raise SvpgError("--set cannot change a run that has begun; leave it out with --resume, or train a new run")
    given = {
        "task": task.name,
        "backend": arguments.backend,
        "mode": arguments.mode,
        "algorithm": arguments.algorithm,
        "seed": arguments.seed,
    }
    if given["backend"] and get_entry(given["backend"]).exact and get_entry(config.backend).exact:
        # Both give the same bits, so a run may go on where another device left it.
        check_backend(given["backend"], config.mode, config.settings.learning.optimiser)
        config = dataclasses.replace(config, backend=given["backend"])
    for name, value in given.items():
        if value is not None and value != getattr(config, name):
            raise SvpgError(f"{path}: its {name} is {getattr(config, name)}, not {value}; leave that out with --resume")
    return config
