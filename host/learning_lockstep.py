"""Training on golden and hardware side by side (:mod:`sim.twins`)."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from golden.config import DeviceConfig
from golden.device import Device, Inference, Ints
from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.backends.device import DeviceBackend
from host.settings import RunConfig
from host.training import Trainer
from sim.device import core_pool
from sim.lesson import LearningCase
from sim.twins import LearningDivergenceError, Twins

SAMPLES = 20_000
"""Samples of a comparison unless told."""


class TwinBackend(DeviceBackend):
    """Golden and hardware behind the host's interface; see :class:`sim.twins.Twins`."""

    name = "lockstep"

    def __init__(self, config: DeviceConfig, options: CoreOptions) -> None:
        self.twins = Twins(Device(config), core_pool(config, options), dataclasses.asdict(options))
        self.sections = self.twins.sections
        super().__init__(config, self.twins)

    def _infer(
        self, obs: Ints, nonce: NDArray[np.uint64], policy: str, winners: Ints | None, activity: bool, spikes: bool
    ) -> Inference:
        return self.twins.infer(obs, nonce, policy, winners)

    def _learn(
        self, obs: Ints, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None = None
    ) -> None:
        self.twins.learn(obs, winners, modulator, rule, nonce)


@dataclass(frozen=True)
class LearningCompared:
    """Results of a comparison.

    Parameters
    ----------
    decisions, samples, updates: transactions that were equal.
    episodes: of training, or batches.
    seconds: wall-clock time.
    cycles, update_cycles: means per sample and per update.
    case: where golden and hardware differ, or ``None``.
    """

    decisions: int
    samples: int
    updates: int
    episodes: int
    seconds: float
    cycles: float
    update_cycles: float
    case: LearningCase | None

    @property
    def mismatches(self) -> int:
        """0, or 1 because the first difference ends a comparison."""
        return int(self.case is not None)


def compare_learning(config: RunConfig, options: CoreOptions, samples: int | None = None) -> LearningCompared:
    """Train from the beginning until enough samples are compared, or golden and hardware differ.

    Parameters
    ----------
    config: of the run; its backend does not matter.
    options: of the hardware; gets the run's rule and optimiser if it has none.
    samples: how many, at least; ``None`` for :data:`SAMPLES`.

    Raises
    ------
    SvpgError: settings that do not fit, or a missing tool.
    """
    learning, total = config.settings.learning, samples or SAMPLES
    if not options.learns:
        options = options.learning([learning.rule], [learning.optimiser])
    for what, name, present in (
        ("rule", learning.rule, options.abilities.rules),
        ("optimiser", learning.optimiser, options.abilities.optimisers),
    ):
        if name not in present:
            raise SvpgError(
                f"the run learns with the {what} {name}, and core.{what}s asks for hardware without the {what}; add it"
            )
    backend = TwinBackend(config.settings.network, options)
    twins, case = backend.twins, None
    began, episodes = time.perf_counter(), 0
    with tqdm(total=total, unit="sample", disable=not sys.stderr.isatty()) as bar:
        try:
            with contextlib.closing(Trainer(dataclasses.replace(config, backend="golden"), backend)) as trainer:
                while twins.samples < total:
                    episodes += len(trainer.advance())
                    bar.update(min(twins.samples, total) - bar.n)
        except LearningDivergenceError as divergence:
            case = divergence.case
    return LearningCompared(
        decisions=twins.decisions,
        samples=twins.samples,
        updates=twins.updates,
        episodes=episodes,
        seconds=time.perf_counter() - began,
        cycles=twins.cycles / max(twins.samples, 1),
        update_cycles=twins.update_cycles / max(twins.updates, 1),
        case=case,
    )
