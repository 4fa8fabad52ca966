"""Several devices of one configuration as one: they share the work of a batch."""

from __future__ import annotations

import concurrent.futures
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.arguments import ACCUMULATORS, PARAMETERS, Apply, Observations, check_infer, check_learn, section_shape
from golden.client import FrameDevice, TimedInference, TimedLearning
from golden.config import DeviceConfig
from golden.device import Ints
from golden.protocol import Section, section_names, words_of

T = TypeVar("T")
R = TypeVar("R", TimedInference, TimedLearning)


CYCLES_PER_NEURON = 10
"""A sample takes about so many cycles for each neuron; whether it pays to share samples hangs on it."""


class Pool:
    """Devices of one configuration as one device: they share the work of a batch.

    Has the interface of :class:`golden.client.FrameDevice`. A transaction is a pure function of parameters and
    arguments, so which device decides makes no difference. Samples are shared where it pays and no accumulator can
    saturate: their sum is then the same in any order. Otherwise the first device learns alone, and the others take over
    what it has learned when they need it.

    Parameters
    ----------
    devices: at least one; each is used by one thread at a time.
    """

    def __init__(self, devices: Sequence[FrameDevice]) -> None:
        self.config = devices[0].config
        self._devices = list(devices)
        self._threads = concurrent.futures.ThreadPoolExecutor(len(devices), "svpg-device")
        # Sections that the others have yet to take over from the first.
        self._behind: set[str] = set()
        # Whether the accumulators of all devices have to be added up, or those of the others are 0 (nobody knows what
        # they hold at first); and by how much their sum may still grow.
        self._spread, self._others_are_empty, self._room = False, False, 0

    @property
    def sections(self) -> tuple[Section, ...]:
        """Memories of each."""
        return self._devices[0].sections

    def info(self) -> dict[str, int | str]:
        """``INFO`` of the first."""
        return self._devices[0].info()

    def _on_all(self, work: Callable[[FrameDevice], T]) -> list[T]:
        """Do the same on all devices."""
        return list(self._threads.map(work, self._devices))

    def _names(self) -> tuple[str, ...]:
        """Sections that each has, by name."""
        return section_names(self.sections)

    # --- memories ------------------------------------------------------------------------------------------
    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD`` into all; accumulators into the first."""
        if section in ACCUMULATORS:
            self._gather()
            self._room = 0
            self._devices[0].load(section, values, start)
            if not self._others_are_empty:
                self._put({}, {name: np.zeros(section_shape(self.config, name), np.int64) for name in ACCUMULATORS})
                self._others_are_empty = True
        else:
            self._agree({section})
            self._on_all(lambda device: device.load(section, values, start))

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ`` from the first."""
        if section in ACCUMULATORS:
            self._gather()
        return self._devices[0].read(section, start, count)

    def clear_learning(self) -> None:
        """``CLEAR`` on all."""
        self._on_all(lambda device: device.clear_learning())
        self._behind &= set(PARAMETERS)
        self._emptied()

    def _emptied(self) -> None:
        """All accumulators are 0."""
        self._spread, self._others_are_empty, self._room = False, True, self.config.accumulator.high

    def _agree(self, sections: set[str]) -> None:
        """Load sections of the first into the others, where those are behind."""
        wanted = self._behind & sections
        if wanted:
            self._put({}, {section: self._devices[0].read(section) for section in sorted(wanted)})
            self._behind -= wanted

    def _put(self, first: Mapping[str, Ints], others: Mapping[str, Ints]) -> None:
        """Load sections into the first and into the others, all at the same time."""

        def put(device: FrameDevice, values: Mapping[str, Ints]) -> None:
            for section, memory in values.items():
                device.load(section, memory)

        list(self._threads.map(put, self._devices, [first, *[others] * (len(self._devices) - 1)]))

    def _gather(self, everywhere: bool = False) -> None:
        """Add up the accumulators into the first, or all; the others keep nothing."""
        if not self._spread:
            return
        parts = self._on_all(lambda device: {section: device.read(section) for section in ACCUMULATORS})
        sums = {section: np.sum([part[section] for part in parts], axis=0) for section in ACCUMULATORS}
        self._put(sums, sums if everywhere else {section: np.zeros_like(values) for section, values in sums.items()})
        self._spread = False

    # --- learning ------------------------------------------------------------------------------------------
    def learn(
        self,
        obs: Observations,
        winners: Ints,
        modulator: Ints,
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
        counters: bool = True,
    ) -> TimedLearning | None:
        """``LEARN``, the batch in consecutive parts, one for each device, or on the first alone."""
        obs, winners, modulator, nonce = check_learn(self.config, obs, winners, modulator, rule, nonce)
        growth = largest_growth(self.config, obs, modulator)
        if not self._shares(len(obs)) or growth > self._room:
            self._gather()
            self._room = max(0, self._room - growth)
            return self._devices[0].learn(obs, winners, modulator, rule, nonce, counters)
        self._agree(set(self._names()) - set(ACCUMULATORS))
        self._spread, self._room = True, self._room - growth
        parts = self._share(
            len(obs),
            lambda device, rows: device.learn(obs[rows], winners[rows], modulator[rows], rule, nonce[rows], counters),
        )
        return joined(TimedLearning, [part for part in parts if part is not None]) if counters else None

    def _shares(self, batch: int) -> bool:
        """Whether it pays to share the samples of a batch, although accumulators have to be added up then."""
        config, count = self.config, len(self._devices)
        moved = 2 * (config.sources + 1) * config.row_words * config.lanes * words_of(config.acc_bits)
        return count > 1 and batch >= count and batch * (count - 1) / count * CYCLES_PER_NEURON * config.neurons > moved

    def apply(self, arguments: Apply) -> int:
        """``APPLY`` on all if they share what was learned, else on the first."""
        if self._spread:
            self._gather(everywhere=True)
            cycles, *_ = self._on_all(lambda device: device.apply(arguments))
        else:
            cycles = self._devices[0].apply(arguments)
            self._behind |= set(self._names()) - set(ACCUMULATORS)
        if self._others_are_empty:
            self._emptied()
        return cycles

    # --- decisions -----------------------------------------------------------------------------------------
    def infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        given: Ints | None = None,
        activity: bool = True,
        spikes: bool = False,
    ) -> TimedInference:
        """``INFER``, the batch in consecutive parts, one for each device."""
        obs, nonce, given = check_infer(self.config, obs, nonce, policy, given)
        if len(obs) < 2 or len(self._devices) == 1:
            return self._devices[0].infer(obs, nonce, policy, given, activity, spikes)
        self._agree(set(PARAMETERS))
        parts = self._share(
            len(obs),
            lambda device, rows: device.infer(
                obs[rows], nonce[rows], policy, None if given is None else given[rows], activity, spikes
            ),
        )
        return joined(TimedInference, parts)

    def _share(self, batch: int, work: Callable[[FrameDevice, slice], T]) -> list[T]:
        """Consecutive parts of a batch, one for each device."""
        bounds = np.linspace(0, batch, len(self._devices) + 1).astype(int)
        rows = [slice(first, last) for first, last in itertools.pairwise(bounds.tolist())]
        return list(self._threads.map(work, self._devices, rows))


def joined(kind: type[R], parts: Sequence[R]) -> R:
    """Results of consecutive parts of a batch as one."""
    return kind(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def largest_growth(config: DeviceConfig, obs: Observations, modulator: Ints) -> int:
    """The most by which a batch of samples can change any accumulator, whatever the rule and the activities.

    Of a recurrent synapse f·M·(trace·change + change·q), f at most 2 and the others at most 1; of an observation
    M·s·change; of a bias M·change. Rounding adds at most 1 to each (docs/numerics.md, "Learning").
    """
    seen = np.abs(obs).max(axis=1, initial=0) / (1 << config.obs_frac)
    factor = np.maximum(4.0, seen) * np.abs(modulator) / (1 << config.modulator_frac)
    return math.ceil(factor.sum() * (1 << config.acc_frac)) + 2 * len(obs)
