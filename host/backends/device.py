"""A device that computes in integers, behind the host's interface: what golden, the RTL and a board have in common."""

from __future__ import annotations

import abc
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.config import DeviceConfig
from golden.device import Inference
from golden.errors import SvpgError
from golden.parameters import Parameters, from_octaves, to_octaves
from golden.protocol import HARDWARE_COUNTERS
from host.backend import Decision, Update

Ints = NDArray[np.int64]


class IntegerDevice(Protocol):
    """What all devices offer alike; :class:`golden.device.Device` says what each method does."""

    def info(self) -> dict[str, int | str]:
        """``INFO``."""

    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD``."""

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ``."""


class DeviceBackend(abc.ABC):
    """A device that infers; see :class:`host.backend.Backend`. Observations are quantised here, all else is integer.

    Parameters
    ----------
    config: of the device.
    device: the device.

    Attributes
    ----------
    name: as in the registry.
    sections: memories that make up its state.
    """

    name: str
    sections: tuple[str, ...] = ("weight", "bias")

    def __init__(self, config: DeviceConfig, device: IntegerDevice) -> None:
        self.config = config
        self._integers = device

    def info(self) -> dict[str, Any]:
        """``INFO`` of the device."""
        return {"backend": self.name, **self._integers.info()}

    def load(self, parameters: Parameters) -> None:
        """Quantise and load."""
        weight, bias = to_octaves(self.config, parameters)
        self._integers.load("weight", weight)
        self._integers.load("bias", bias)

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
    ) -> Decision:
        """A batch of ``INFER`` transactions."""
        result = self._infer(self.config.obs.quantise(obs), nonce, policy, winners, activity)
        names = ("events", "row_words", *(name for name in HARDWARE_COUNTERS if hasattr(result, name)))
        return Decision(
            winners=result.winners,
            action_prob=self.config.probability.to_float(result.prob_raw),
            q=self.config.activity.to_float(result.q_raw),
            iterations=result.iterations,
            counters={name: getattr(result, name) for name in names},
        )

    @abc.abstractmethod
    def _infer(
        self, obs: Ints, nonce: NDArray[np.uint64], policy: str, winners: Ints | None, activity: bool
    ) -> Inference:
        """``INFER``; ``q_raw`` may be of shape (B, 0) without ``activity``."""

    def learn(
        self, obs: NDArray[np.float64], winners: NDArray[np.int64], modulator: NDArray[np.float64], rule: str
    ) -> None:
        """Refused: such a device does not learn yet."""
        raise SvpgError(f"backend {self.name} does not learn yet; train on golden")

    def apply(self, update: Update) -> None:
        """Refused as :meth:`learn` is."""
        raise SvpgError(f"backend {self.name} does not learn yet; train on golden")

    def state(self) -> dict[str, NDArray[Any]]:
        """All memories."""
        return {section: self._read(section) for section in self.sections}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load all memories; all or nothing as to names and sizes.

        Raises
        ------
        SvpgError: a memory is missing or of another size, or its values do not fit.
        """
        for section in self.sections:
            expected = self._shape(section)
            if section not in state:
                raise SvpgError(f"the saved device state lacks {section!r}; it belongs to another backend or version")
            if np.shape(state[section]) != expected:
                raise SvpgError(
                    f"the saved device state has {section} of shape {np.shape(state[section])}, expected {expected}; "
                    "use the configuration it was saved with"
                )
        for section in self.sections:
            self._integers.load(section, state[section])

    def _shape(self, section: str) -> tuple[int, ...]:
        config = self.config
        return (config.neurons,) if section.endswith("bias") else (config.sources, config.neurons)

    def _read(self, section: str) -> Ints:
        return self._integers.read(section).reshape(self._shape(section))
