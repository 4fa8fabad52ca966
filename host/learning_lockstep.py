"""Training on golden and hardware side by side (:mod:`sim.twins`)."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from dataclasses import dataclass

from tqdm import tqdm

from golden.device import Device
from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.backends.device import DeviceBackend
from host.hardware import Hardware
from host.settings import RunConfig
from host.training import Trainer
from sim.lesson import LearningCase
from sim.twins import LearningDivergenceError, Twins

SAMPLES = 20_000
"""Samples of a comparison unless told."""


class TwinBackend(DeviceBackend):
    """Golden and hardware behind the host's interface; see :class:`sim.twins.Twins`."""

    name = "lockstep"

    def __init__(self, hardware: Hardware) -> None:
        self.twins = Twins(Device(hardware.config), hardware.device, dataclasses.asdict(hardware.options))
        self.sections = self.twins.sections
        super().__init__(hardware.config, self.twins)


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


def learning_options(config: RunConfig, options: CoreOptions) -> CoreOptions:
    """Options of simulated hardware with the run's rule and optimiser, if they name none."""
    learning = config.settings.learning
    return options if options.learns else options.learning([learning.rule], [learning.optimiser])


def check_learns(config: RunConfig, options: CoreOptions) -> None:
    """Raise :class:`SvpgError` unless hardware has the rule and optimiser that a run learns with."""
    learning = config.settings.learning
    for what, name, present in (
        ("rule", learning.rule, options.abilities.rules),
        ("optimiser", learning.optimiser, options.abilities.optimisers),
    ):
        if name not in present:
            raise SvpgError(
                f"the run learns with the {what} {name}, and the hardware is without the {what}; add it to core.{what}s"
            )


def compare_learning(config: RunConfig, hardware: Hardware, samples: int | None = None) -> LearningCompared:
    """Train from the beginning until enough samples are compared, or golden and hardware differ.

    Parameters
    ----------
    config: of the run; its backend does not matter.
    hardware: what is compared; has the run's rule and optimiser. Closed by the caller.
    samples: how many, at least; ``None`` for :data:`SAMPLES`.

    Raises
    ------
    SvpgError: settings that do not fit, or a board that is gone.
    """
    total = samples or SAMPLES
    check_learns(config, hardware.options)
    backend = TwinBackend(hardware)
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
