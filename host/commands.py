"""What the commands of ``svpg`` do. Each function takes the parsed arguments and returns a :class:`Report`."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import CONTRACT_VERSION, DeviceConfig
from golden.errors import SvpgError
from golden.files import write_atomically
from golden.parameters import PARAMETER_FORMAT, Parameters
from host.agent import Agent
from host.backends.registry import BACKENDS, check_backend, make_backend
from host.run import RunFolder
from host.seeds import Purpose, nonces
from host.settings import RUN_FORMAT, SEED_BITS, RunConfig
from host.tasks import TASKS, Task, default_algorithm, get_task

PACKAGES = ("numpy", "numba", "torch", "gymnasium", "mujoco")
"""Libraries whose versions can change a run's floating-point results."""


@dataclass(frozen=True)
class Report:
    """Result of a command.

    Parameters
    ----------
    data: for ``--json``.
    text: for people.
    status: exit status.
    """

    data: Any
    text: str
    status: int = 0


def _table(rows: dict[str, Any]) -> str:
    """Two aligned columns."""
    width = max((len(name) for name in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << SEED_BITS:
        raise SvpgError(f"seed {seed} is out of range; give an integer from 0 to {(1 << SEED_BITS) - 1}")


def _check_writable(path: Path) -> None:
    """Refuse an output in a folder that is not there before any work is done."""
    if not path.parent.is_dir():
        raise SvpgError(f"{path}: there is no folder {path.parent}; make it first")


# --- train ------------------------------------------------------------------------------------------
def train(arguments: argparse.Namespace) -> Report:
    """``svpg train``: a new run, or the rest of one."""
    task = get_task(arguments.task)
    backend = arguments.backend or "golden"
    seed = 0 if arguments.seed is None else arguments.seed
    path = arguments.run or Path("runs") / f"{task.name}-{backend}-{seed}"
    if arguments.resume:
        config = _resumed(arguments, task, path)
    else:
        algorithm = arguments.algorithm or default_algorithm(task)
        mode = arguments.mode or "rate"
        check_backend(backend, mode)
        settings = task.defaults(backend, algorithm).override(arguments.assignments)
        config = RunConfig(task.name, backend, mode, algorithm, seed, settings)
    from host.training import extended
    from host.training import train as train_run

    result = train_run(extended(config, arguments.episodes), path, arguments.resume)
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
    for name, value in given.items():
        if value is not None and value != getattr(config, name):
            raise SvpgError(f"{path}: its {name} is {getattr(config, name)}, not {value}; leave that out with --resume")
    return config


# --- play -------------------------------------------------------------------------------------------
def play(arguments: argparse.Namespace) -> Report:
    """``svpg play``: episodes without learning, or the whole test split."""
    _check_seed(arguments.seed)
    folder, config = RunFolder.open(arguments.run)
    task = get_task(config.task)
    backend = arguments.backend or config.backend
    check_backend(backend, config.mode)
    parameters = folder.parameters()
    task.check(parameters, str(folder.path))
    if arguments.gif is not None:
        _check_writable(arguments.gif)
    agent = Agent(make_backend(backend, config.settings.network, config.mode), seed=arguments.seed)
    agent.load(parameters)
    if task.environment is None:
        if arguments.gif is not None:
            raise SvpgError(f"--gif draws an environment, and {task.name} has none; leave it out")
        return _classify(task, config, agent, backend, arguments.policy)
    return _control(task, config, agent, backend, arguments)


def _control(task: Task, config: RunConfig, agent: Agent, backend: str, arguments: argparse.Namespace) -> Report:
    from host.evaluation import play as play_episodes
    from host.gif import Animation

    # A rule that draws the action given the hidden winners has learnt that policy.
    conditional = arguments.policy == "sample" and config.settings.learning.rule == "conditional"
    policy = "conditional" if conditional else arguments.policy
    env = task.make(render_mode="rgb_array") if arguments.gif is not None else task.make()
    try:
        animation = Animation(env.metadata["render_fps"]) if arguments.gif is not None else None
        played = play_episodes(
            agent, env, arguments.episodes, arguments.seed, policy, animation.add if animation is not None else None
        )
    finally:
        env.close()
    if animation is not None:
        animation.save(arguments.gif)
    data: dict[str, Any] = {
        "task": task.name,
        "backend": backend,
        "policy": policy,
        "episodes": arguments.episodes,
        "mean_return": float(played.returns.mean()),
        "std_return": float(played.returns.std()),
        "decisions": played.decisions,
        "decisions_per_s": round(played.decisions / played.seconds, 1),
    }
    if played.cycles is not None:
        data["cycles_per_decision"] = played.cycles
    return Report(data, _table(data))


def _classify(task: Task, config: RunConfig, agent: Agent, backend: str, policy: str) -> Report:
    from host.classify import accuracy
    from host.datasets import load_mnist

    data_set = load_mnist(config.settings.classify.source or None)
    began = time.perf_counter()
    score = accuracy(agent, data_set.test_images, data_set.test_labels, policy)
    seconds = time.perf_counter() - began
    count = len(data_set.test_images)
    right = round(score * count)
    rewards = np.where(
        np.arange(count) < right, config.settings.classify.right, config.settings.classify.wrong
    )
    data = {
        "task": task.name,
        "backend": backend,
        "policy": policy,
        "episodes": count,
        "accuracy": score,
        "mean_return": float(rewards.mean()),
        "std_return": float(rewards.std()),
        "decisions": count,
        "decisions_per_s": round(count / seconds, 1),
    }
    return Report(data, _table(data))


# --- infer ------------------------------------------------------------------------------------------
def infer(arguments: argparse.Namespace) -> Report:
    """``svpg infer``: decide the observations of a file."""
    from host.backends.float import FloatBackend

    _check_seed(arguments.seed)
    check_backend(arguments.backend, arguments.mode)
    _check_writable(arguments.out)
    parameters = Parameters.load(arguments.params)
    obs, start = _observations(arguments.obs, parameters)
    config = _device_for(parameters)
    if arguments.iterations is not None:
        config = config.replace(iterations=arguments.iterations)
    backend = make_backend(arguments.backend, config, arguments.mode)
    agent = Agent(backend, seed=arguments.seed)
    agent.load(parameters)
    nonce = nonces(arguments.seed, Purpose.PLAY, 0, len(obs))
    if start is None:
        decision = backend.infer(agent.prepare(obs), nonce, arguments.policy)
    elif isinstance(backend, FloatBackend):
        decision = backend.infer(agent.prepare(obs), nonce, arguments.policy, q0=start)
    else:
        raise SvpgError(
            f"{arguments.obs}: q0 sets the initial activity, which backend {arguments.backend} cannot; use float"
        )
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
    return Report(data, _table(data))


def _device_for(parameters: Parameters) -> DeviceConfig:
    """The default device of the parameters' sizes."""
    return DeviceConfig(
        inputs=parameters.inputs,
        groups=parameters.groups,
        group_size=parameters.group_size,
        actions=parameters.actions,
    )


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


# --- study ------------------------------------------------------------------------------------------
def study(arguments: argparse.Namespace) -> Report:
    """``svpg study``: many runs, a table and a picture; an interrupted study goes on where it was."""
    module = importlib.import_module(f"host.study.{arguments.name}")
    suffix = "-quick" if arguments.quick else ""
    journal = arguments.journal or Path("build/study") / f"{arguments.name}{suffix}.jsonl"
    if not arguments.out.is_dir():
        raise SvpgError(f"{arguments.out}: no such folder; make it first or choose another --out")
    seeds = arguments.seeds or (1 if arguments.quick else module.SEEDS)
    table = module.run(arguments.out, journal, seeds, arguments.quick, arguments.workers)
    data = {"study": arguments.name, "report": str(arguments.out / f"{arguments.name}.md"), "journal": str(journal)}
    return Report(data, table)


# --- bench, info, demo ------------------------------------------------------------------------------
def bench(arguments: argparse.Namespace) -> Report:
    """``svpg bench``: measured speeds."""
    from host.bench import run_benchmarks

    results = run_benchmarks(arguments.selection, arguments.quick)
    return Report(results, _table({item["name"]: f"{item['value']:.4g} {item['unit']}" for item in results}))


def info(arguments: argparse.Namespace) -> Report:
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
            _table({"svpg": data["version"], "numeric contract": CONTRACT_VERSION, "run folder format": RUN_FORMAT})
            + "\n"
            + _table({"python": data["python"], **data["packages"]}),
            "backends:\n" + _table({f"  {name}": entry.title for name, entry in BACKENDS.items()}),
            "tasks:\n" + _table({f"  {name}": task.title for name, task in TASKS.items()}),
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
        f"[{section}]\n" + _table({f"  {key}": value for key, value in table.items()})
        for section, table in {"formats": formats, **config.settings.to_dict()}.items()
    ]
    return Report(data, "\n\n".join([_table(head), *sections]))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def demo(arguments: argparse.Namespace) -> Report:
    """``svpg demo``: train the pendulum on golden, play it greedily, leave a curve and an animation."""
    task = get_task("inverted-pendulum")
    config = RunConfig(task.name, "golden", "rate", "ppo", arguments.seed, task.defaults("golden", "ppo"))
    from host.training import extended
    from host.training import train as train_run

    path: Path = arguments.run
    result = train_run(extended(config, arguments.episodes), path)
    played = play(
        argparse.Namespace(
            run=path, backend=None, episodes=10, seed=0, gif=path / "pendulum.gif", policy="greedy"
        )
    ).data
    data = {
        "run": str(path),
        "solved": result.solved,
        "solved_episode": result.solved_episode,
        "episodes": result.episodes,
        "seconds": round(result.seconds, 3),
        "best_validation": result.best_validation,
        "play": played,
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
        "learning curve": path / "curve.png",
        "animation": path / "pendulum.gif",
    }
    return Report(data, _table(rows), status=0 if result.solved else 1)
