"""``svpg info``."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from golden.config import CONTRACT_VERSION
from golden.parameters import PARAMETER_FORMAT
from host.backends.registry import BACKENDS
from host.commands.report import Report, two_columns
from host.run import RunFolder
from host.settings import RUN_FORMAT
from host.tasks import TASKS

PACKAGES = ("numpy", "numba", "torch", "gymnasium", "mujoco")
"""Libraries whose versions can change a run's floating-point results."""


def run(arguments: argparse.Namespace) -> Report:
    """``svpg info``: what is installed, or what a run is."""
    if arguments.run is not None:
        return _info_run(arguments.run)
    data: dict[str, Any] = {
        "version": _version("svpg"),
        "contract": CONTRACT_VERSION,
        "parameter_format": PARAMETER_FORMAT,
        "run_format": RUN_FORMAT,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "backends": {
            name: {"title": entry.title, "modes": list(entry.modes), "optimisers": list(entry.optimisers)}
            for name, entry in BACKENDS.items()
        },
        "tasks": {name: task.title for name, task in TASKS.items()},
    }
    text = "\n\n".join(
        (
            two_columns(
                {"svpg": data["version"], "numeric contract": CONTRACT_VERSION, "run folder format": RUN_FORMAT}
            )
            + "\n"
            + two_columns({"python": data["python"], **data["packages"]}),
            "backends:\n" + two_columns({f"  {name}": entry.title for name, entry in BACKENDS.items()}),
            "tasks:\n" + two_columns({f"  {name}": task.title for name, task in TASKS.items()}),
        )
    )
    return Report(data, text)


def _info_run(path: Path) -> Report:
    folder, config = RunFolder.open(path)
    network = config.settings.network
    formats = {
        name: str(getattr(network, name))
        for name in ("weight", "obs", "activity", "probability", "modulator", "accumulator", "gradient", "moment")
    }
    data = {
        "run": str(folder.path),
        "task": config.task,
        "backend": config.backend,
        "mode": config.mode,
        "algorithm": config.algorithm,
        "seed": config.seed,
        "digest": f"{network.digest:08x}",
        "formats": formats,
        "potential_bits": network.potential_bits,
        "settings": config.settings.to_dict(),
    }
    head = {name: value for name, value in data.items() if not isinstance(value, dict)}
    sections = [
        f"[{section}]\n" + two_columns({f"  {key}": value for key, value in table.items()})
        for section, table in {"formats": formats, **config.settings.to_dict()}.items()
    ]
    return Report(data, "\n\n".join([two_columns(head), *sections]))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
