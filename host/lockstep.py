"""Tasks played on golden and hardware side by side (:mod:`sim.lockstep`)."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from golden.parameters import Parameters
from host.agent import Agent
from host.backends.golden import GoldenBackend
from host.datasets import load_mnist, observations
from host.hardware import Hardware
from host.seeds import Purpose, environment_seed, nonces
from host.tasks import Task
from sim.case import Case, Transactions
from sim.lockstep import DivergenceError, Lockstep

BATCH = 64
"""Decisions that are made together: episodes played at a time, or images."""

DECISIONS = 10_000
"""Decisions of a comparison unless told."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """Results of a comparison.

    Parameters
    ----------
    decisions: transactions that were compared.
    seconds: wall-clock time.
    cycles, stalls, row_words: means per decision of the hardware's counters; 0 if the first decision differs.
    case: where golden and hardware differ, or ``None``.
    """

    decisions: int
    seconds: float
    cycles: float
    stalls: float
    row_words: float
    case: Case | None

    @property
    def mismatches(self) -> int:
        """0, or 1 because the first difference ends a comparison."""
        return int(self.case is not None)


def compare(
    task: Task,
    parameters: Parameters,
    hardware: Hardware,
    decisions: int | None = None,
    policy: str = "sample",
    seed: int = 0,
    source: str = "",
    episodes: int = BATCH,
) -> Compared:
    """Play a task until enough decisions are compared, or two differ.

    Control tasks are played in many episodes at a time, with golden's actions. Classification goes through the test
    split, and again with other nonces if more decisions are asked for.

    Parameters
    ----------
    parameters: of both sides.
    hardware: what is compared; closed by the caller.
    decisions: how many; ``None`` for :data:`DECISIONS` or, for classification, the test split once.
    policy: one of :data:`host.backend.POLICIES`.
    seed: starts of the episodes, and nonces.
    source: of images; see :class:`host.settings.Classify`.
    episodes: how many are played at a time.

    Raises
    ------
    SvpgError: parameters that do not fit, or a board that is gone.
    """
    config = hardware.config
    backend = GoldenBackend(config)
    agent = Agent(backend, seed=seed)
    agent.load(parameters)
    lockstep = Lockstep(
        backend.device,
        hardware.device,
        hardware.fresh,
        dataclasses.asdict(hardware.options),
    )

    def decide(obs: Array) -> NDArray[np.int64]:
        raw = config.obs.quantise(agent.prepare(obs))
        nonce = nonces(seed, Purpose.PLAY, lockstep.decisions, len(obs))
        return lockstep.infer(Transactions(raw, nonce, policy)).winners[:, -1]

    if task.environment is None:
        images = load_mnist(source or None).test_images
        total = decisions or len(images)
        batches = _classify(decide, images, total)
    else:
        total = decisions or DECISIONS
        batches = _play(decide, task, min(episodes, total), total, seed)
    case = None
    began = time.perf_counter()
    with tqdm(total=total, unit="dec", disable=not sys.stderr.isatty()) as bar:
        try:
            for count in batches:
                bar.update(count)
        except DivergenceError as divergence:
            case = divergence.case
    equal = max(lockstep.decisions, 1)
    return Compared(
        decisions=lockstep.decisions if case is None else case.number + 1,
        seconds=time.perf_counter() - began,
        cycles=lockstep.cycles / equal,
        stalls=lockstep.stalls / equal,
        row_words=lockstep.row_words / equal,
        case=case,
    )


def _classify(decide: Callable[[Array], object], images: NDArray[np.uint8], total: int) -> Iterator[int]:
    """Decide images in order, from the first again after the last; yields the sizes of the batches."""
    done = 0
    while done < total:
        first = done % len(images)
        chosen = images[first : first + min(BATCH, total - done)]
        decide(observations(chosen).astype(np.float64))
        done += len(chosen)
        yield len(chosen)


def _play(decide: Callable[[Array], NDArray[np.int64]], task: Task, count: int, total: int, seed: int) -> Iterator[int]:
    """Play ``count`` episodes at a time; yields the sizes of the batches."""
    with contextlib.ExitStack() as closing:
        envs = [closing.enter_context(contextlib.closing(task.make())) for _ in range(count)]
        episodes = np.zeros(count, dtype=np.int64)

        def reset(number: int) -> Array:
            start = environment_seed(seed, Purpose.PLAY, number, int(episodes[number]))
            episodes[number] += 1
            return np.asarray(envs[number].reset(seed=start)[0], dtype=np.float64)

        obs = np.stack([reset(number) for number in range(count)])
        done = 0
        while done < total:
            deciding = min(count, total - done)
            for number, action in enumerate(decide(obs[:deciding])):
                obs[number], _, terminated, truncated, _ = envs[number].step(int(action))
                if terminated or truncated:
                    obs[number] = reset(number)
            done += deciding
            yield deciding
