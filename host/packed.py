"""A trained agent in one small file: its settings, its parameters as the integers of the device, its centring."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from golden.errors import SvpgError
from golden.files import write_atomically
from golden.parameters import Parameters, from_octaves, to_octaves
from host.run import RunFolder
from host.settings import RunConfig
from host.tasks import Task, get_task

PACKED_FORMAT = 1
"""Version of the file."""

AGENTS = Path(__file__).with_name("agents")
"""Agents that come with the project, ``TASK.npz``."""


def pack(config: RunConfig, parameters: Parameters, path: Path) -> None:
    """Write the file; a device that loads it has the same integers.

    Weights below the diagonal of the recurrent block are those above it, and are left out.

    Raises
    ------
    SvpgError: it cannot be written.
    """
    network = config.settings.network
    weight, bias = to_octaves(network, parameters)
    n = network.neurons
    container = network.weight.container
    arrays = {
        "format": np.int64(PACKED_FORMAT),
        "run": np.array(config.text()),
        "recurrent": weight[:n][np.triu_indices(n, 1)].astype(container),
        # By column: neighbours in the picture, which are alike, follow each other.
        "observation": np.ascontiguousarray(weight[n:].T).astype(container),
        "bias": bias.astype(container),
        "obs_mean": parameters.obs_mean,
        "obs_scale": np.float64(parameters.obs_scale),
    }
    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))  # type: ignore[arg-type]


def unpack(path: Path) -> tuple[RunConfig, Parameters]:
    """The inverse of :func:`pack`.

    Raises
    ------
    SvpgError: missing, damaged, of another version, or not such a file.
    """
    if not path.is_file():
        raise SvpgError(f"{path}: no such agent file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {key: archive[key] for key in archive.files}
        version = int(data["format"])
        if version != PACKED_FORMAT:
            raise SvpgError(f"{path}: agent file of format {version}, this program reads format {PACKED_FORMAT}")
        config = RunConfig.parse(str(data["run"]), path)
        network = config.settings.network
        n = network.neurons
        weight = np.zeros((network.sources, n), dtype=np.int64)
        weight[:n][np.triu_indices(n, 1)] = data["recurrent"]
        weight[:n] += weight[:n].T
        weight[n:] = data["observation"].T
        parameters = from_octaves(network, weight, data["bias"].astype(np.int64))
        parameters.obs_mean, parameters.obs_scale = data["obs_mean"].astype(np.float64), float(data["obs_scale"])
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise SvpgError(f"{path}: not a readable agent file ({error}); pack it again") from error
    parameters.check(str(path))
    parameters.matches(network, str(path))
    return config, parameters


def digest(path: Path) -> str:
    """What tells an agent file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shipped(task: Task) -> Path:
    """The agent of a task that comes with the project.

    Raises
    ------
    SvpgError: there is none.
    """
    path = AGENTS / f"{task.name}.npz"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in AGENTS.glob("*.npz"))) or "none"
        raise SvpgError(f"{task.name} has no pretrained agent (those there are: {known}); train one with svpg train")
    return path


def trained(target: Path, pretrained: bool = False) -> tuple[RunConfig, Parameters]:
    """What a run folder, an agent file or, if ``pretrained``, a task's name stands for.

    Raises
    ------
    SvpgError: none of these, damaged, or a task without a pretrained agent.
    """
    if pretrained:
        return unpack(shipped(get_task(str(target))))
    if target.is_file():
        return unpack(target)
    folder, config = RunFolder.open(target)
    return config, folder.parameters()
