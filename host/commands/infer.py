"""``svpg infer``."""

from __future__ import annotations

import argparse
import contextlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.files import write_atomically
from golden.parameters import Parameters
from host.agent import Agent
from host.backend import Backend, Decision
from host.backends.registry import make_backend
from host.commands.port import port_of
from host.commands.report import Report, check_seed, check_writable, two_columns
from host.seeds import Purpose, nonces
from host.settings import Settings, in_mode


def run(arguments: argparse.Namespace) -> Report:
    """``svpg infer``: decide the observations of a file."""
    check_seed(arguments.seed)
    port = port_of(arguments, arguments.backend)
    check_writable(arguments.out)
    parameters = Parameters.load(arguments.params)
    obs, start = _observations(arguments.obs, parameters)
    config = _device_for(parameters, arguments.mode, arguments.assignments, arguments.iterations)
    with contextlib.closing(make_backend(arguments.backend, config, port=port)) as backend:
        decision = _decide(backend, parameters, obs, start, arguments)
    arrays: dict[str, NDArray[Any]] = {
        "q": decision.q,
        "winners": decision.winners,
        "action_prob": decision.action_prob,
        "iterations": decision.iterations,
        **decision.counters,
    }
    if arguments.backend != "float":
        arrays["q_raw"] = config.activity.quantise(decision.q)
    write_atomically(arguments.out, lambda stream: np.savez_compressed(stream, **arrays))  # type: ignore[arg-type]
    data = {
        "out": str(arguments.out),
        "backend": arguments.backend,
        "decisions": len(obs),
        "mean_iterations": float(decision.iterations.mean()),
        "actions": np.bincount(decision.action, minlength=parameters.actions).tolist(),
    }
    return Report(data, two_columns(data))


def _decide(
    backend: Backend,
    parameters: Parameters,
    obs: NDArray[np.float64],
    start: NDArray[np.float64] | None,
    arguments: argparse.Namespace,
) -> Decision:
    """Decisions of a backend with these parameters."""
    from host.backends.float import FloatBackend

    agent = Agent(backend, seed=arguments.seed)
    agent.load(parameters)
    nonce = nonces(arguments.seed, Purpose.PLAY, 0, len(obs))
    if start is None:
        return backend.infer(agent.prepare(obs), nonce, arguments.policy)
    if isinstance(backend, FloatBackend):
        return backend.infer(agent.prepare(obs), nonce, arguments.policy, q0=start)
    raise SvpgError(
        f"{arguments.obs}: q0 sets the initial activity, which backend {arguments.backend} cannot; use float"
    )


def _device_for(
    parameters: Parameters, mode: str | None, assignments: list[str], iterations: int | None
) -> DeviceConfig:
    """The device that the file names, else the default one of its sizes; then the command's changes."""
    config = parameters.device or DeviceConfig(
        inputs=parameters.inputs,
        groups=parameters.groups,
        group_size=parameters.group_size,
        actions=parameters.actions,
    )
    for assignment in assignments:
        if not assignment.startswith("network."):
            raise SvpgError(f"--set {assignment}: infer takes network.KEY=VALUE only")
    config = Settings(network=config).override(in_mode(mode, assignments)).network
    return config if iterations is None else config.replace(iterations=iterations)


def _observations(path: Path, parameters: Parameters) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """``obs`` (B, S) and ``q0`` (B, N) or ``None`` from a file; shapes and finiteness are checked."""
    if not path.is_file():
        raise SvpgError(f"{path}: no such observation file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("obs", "q0") if key in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise SvpgError(f"{path}: not a readable .npz file ({error}); write it again") from error
    if "obs" not in arrays:
        raise SvpgError(f"{path}: has no array obs; save the observations under that name")
    for name, width in (("obs", parameters.inputs), ("q0", parameters.neurons)):
        if name not in arrays:
            continue
        array = arrays[name]
        if array.dtype.kind not in "fiu":
            raise SvpgError(f"{path}: {name} holds {array.dtype}, not real numbers; convert it")
        if array.ndim != 2 or array.shape[1] != width or not len(array):
            raise SvpgError(f"{path}: {name} has shape {array.shape}, expected (batch, {width})")
        arrays[name] = array.astype(np.float64)
        bad = int((~np.isfinite(arrays[name])).sum())
        if bad:
            raise SvpgError(f"{path}: {name} has {bad} values that are not finite numbers; remove NaN and infinity")
    start = arrays.get("q0")
    if start is not None and len(start) != len(arrays["obs"]):
        raise SvpgError(f"{path}: q0 has {len(start)} rows, obs has {len(arrays['obs'])}; give one each")
    return arrays["obs"], start
