"""A device that computes in integers, behind the host's interface: what golden, the RTL and a board have in common."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.arguments import SECTIONS, Apply, Observations
from golden.config import DeviceConfig
from golden.device import Inference, Learning
from golden.errors import SvpgError
from golden.parameters import Parameters, from_octaves, to_octaves
from golden.protocol import HARDWARE_COUNTERS
from host.backend import Decision, Update
from sim.case import Answers, Infers
from sim.lesson import Learns

Ints = NDArray[np.int64]


class IntegerDevice(Infers, Learns, Protocol):
    """What all devices offer alike; :class:`golden.device.Device` says what each method does."""

    def info(self) -> dict[str, int | str]:
        """``INFO``."""

    def clear_learning(self) -> None:
        """``CLEAR``."""


class HardwareDevice(Answers, IntegerDevice, Protocol):
    """One whose responses hold no more than is asked for."""

    def learn(
        self,
        obs: Observations,
        winners: Ints,
        modulator: Ints,
        rule: str,
        nonce: NDArray[np.uint64] | None = ...,
        counters: bool = ...,
        /,
    ) -> Learning | None:
        """``LEARN``."""


class DeviceBackend:
    """A device that infers and learns; see :class:`host.backend.Backend`.

    Observations and modulators are quantised here, modulators saturate; everything after that is integer.

    Parameters
    ----------
    config: of the device.
    device: the device.

    Attributes
    ----------
    name: as in the registry.
    sections: memories that the device has.
    """

    name: str
    sections: tuple[str, ...] = SECTIONS

    def __init__(self, config: DeviceConfig, device: IntegerDevice) -> None:
        self.config = config
        self._integers = device

    def info(self) -> dict[str, Any]:
        """``INFO`` of the device."""
        return {"backend": self.name, **self._integers.info()}

    def load(self, parameters: Parameters) -> None:
        """Quantise and load; accumulators and second moments become zero."""
        weight, bias = to_octaves(self.config, parameters)
        self._integers.load("weight", weight)
        self._integers.load("bias", bias)
        self._integers.clear_learning()

    def read(self) -> Parameters:
        """Parameters in nats; loading them again gives the same integers."""
        return from_octaves(self.config, self._read("weight"), self._read("bias"))

    def infer(
        self,
        obs: NDArray[np.float64],
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        winners: NDArray[np.int64] | None = None,
        activity: bool = True,
        spikes: bool = False,
    ) -> Decision:
        """A batch of ``INFER`` transactions."""
        result = self._infer(self._raw(obs), nonce, policy, winners, activity, spikes)
        names = ("events", "row_words", *(name for name in HARDWARE_COUNTERS if hasattr(result, name)))
        return Decision(
            winners=result.winners,
            action_prob=self.config.probability.to_float(result.prob_raw),
            q=self.config.activity.to_float(result.q_raw),
            iterations=result.iterations,
            counters={name: getattr(result, name) for name in names},
            spikes=result.spikes if spikes and self.config.spikes else None,
        )

    def _raw(self, obs: NDArray[np.float64]) -> Observations:
        """Quantised."""
        return self.config.obs.quantise(obs, self.config.obs.container)

    def _infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str,
        winners: Ints | None,
        activity: bool,
        spikes: bool,
    ) -> Inference:
        """``INFER``; ``q_raw`` may be of shape (B, 0) without ``activity``, ``spikes`` (B, 0, G+1) if not asked for."""
        return self._integers.infer(obs, nonce, policy, winners)

    def learn(
        self,
        obs: NDArray[np.float64],
        winners: NDArray[np.int64],
        modulator: NDArray[np.float64],
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
    ) -> None:
        """A batch of ``LEARN`` transactions."""
        self._learn(self._raw(obs), winners, self.config.modulator.saturate(modulator), rule, nonce)

    def _learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None
    ) -> None:
        """``LEARN``."""
        self._integers.learn(obs, winners, modulator, rule, nonce)

    def apply(self, update: Update) -> None:
        """``APPLY`` with the mean over the power of two nearest to the batch."""
        self._integers.apply(apply_arguments(update))

    def state(self) -> dict[str, NDArray[Any]]:
        """All memories; those that the device was built without are zero, as they are where nothing uses them."""
        return {
            section: self._read(section) if section in self.sections else np.zeros(self._shape(section), np.int64)
            for section in SECTIONS
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load all memories; all or nothing as to names and sizes.

        Raises
        ------
        SvpgError: a memory is missing or of another size, its values do not fit, or the device has no such memory.
        """
        for section in SECTIONS:
            expected = self._shape(section)
            if section not in state:
                raise SvpgError(f"the saved device state lacks {section!r}; it belongs to another backend or version")
            if np.shape(state[section]) != expected:
                raise SvpgError(
                    f"the saved device state has {section} of shape {np.shape(state[section])}, expected {expected}; "
                    "use the configuration it was saved with"
                )
            if section not in self.sections and np.any(state[section]):
                raise SvpgError(
                    f"the saved device state has values in {section}, a memory that this device was built without; "
                    "build it with the optimiser they belong to"
                )
        for section in self.sections:
            self._integers.load(section, state[section])

    def close(self) -> None:
        """Nothing to give back."""

    def _shape(self, section: str) -> tuple[int, ...]:
        config = self.config
        return (config.neurons,) if section.endswith("bias") else (config.sources, config.neurons)

    def _read(self, section: str) -> Ints:
        return self._integers.read(section).reshape(self._shape(section))


class HardwareBackend(DeviceBackend):
    """Hardware, which is asked for what is read of its answers.

    Parameters
    ----------
    config, device: as above.
    """

    def __init__(self, config: DeviceConfig, device: HardwareDevice) -> None:
        super().__init__(config, device)
        self._hardware = device

    def _infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str,
        winners: Ints | None,
        activity: bool,
        spikes: bool,
    ) -> Inference:
        return self._hardware.infer(obs, nonce, policy, winners, activity, spikes)

    def _learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None
    ) -> None:
        self._hardware.learn(obs, winners, modulator, rule, nonce, False)


def apply_arguments(update: Update) -> Apply:
    """Device form of an update.

    Raises
    ------
    SvpgError: a rate that is not a power of two.
    """
    return Apply(
        optimiser=update.optimiser,
        mean_shift=round(math.log2(update.batch)),
        rate=_exponent("rate", update.rate),
        obs_rate=_exponent("obs_rate", update.obs_rate),
        decay=update.decay,
        floor=update.floor,
    )


def _exponent(name: str, rate: float) -> int:
    mantissa, exponent = math.frexp(rate)
    if mantissa != 0.5:
        near = 2.0 ** round(math.log2(rate)) if rate > 0 else 2.0**-10
        raise SvpgError(f"{name} = {rate:g} is not a power of two, which devices need; use {near:g}")
    return 1 - exponent
