"""The golden model behind the host's interface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.arguments import SECTIONS, Apply
from golden.config import DeviceConfig
from golden.device import Device, Inference, Ints
from golden.errors import SvpgError
from golden.parameters import Parameters
from host.backend import Update
from host.backends.device import DeviceBackend


class GoldenBackend(DeviceBackend):
    """Bit-accurate device in Python; see :class:`host.backend.Backend`.

    Observations and modulators are quantised here, modulators saturate; everything after that is integer.
    """

    name = "golden"
    sections = SECTIONS

    def __init__(self, config: DeviceConfig) -> None:
        self.device = Device(config)
        super().__init__(config, self.device)

    def load(self, parameters: Parameters) -> None:
        """Quantise and load; accumulators and second moments become zero."""
        super().load(parameters)
        self.device.clear_learning()

    def _infer(
        self, obs: Ints, nonce: NDArray[np.uint64], policy: str, winners: Ints | None, activity: bool
    ) -> Inference:
        return self.device.infer(obs, nonce, policy, winners)

    def learn(
        self, obs: NDArray[np.float64], winners: NDArray[np.int64], modulator: NDArray[np.float64], rule: str
    ) -> None:
        """A batch of ``LEARN`` transactions."""
        self.device.learn(self.config.obs.quantise(obs), winners, self.config.modulator.saturate(modulator), rule)

    def apply(self, update: Update) -> None:
        """``APPLY`` with the mean over the power of two nearest to the batch."""
        self.device.apply(apply_arguments(update))

    def state(self) -> dict[str, NDArray[Any]]:
        """All memories, in the integers they are kept in."""
        return {section: getattr(self.device, section).copy() for section in SECTIONS}


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
    )


def _exponent(name: str, rate: float) -> int:
    mantissa, exponent = math.frexp(rate)
    if mantissa != 0.5:
        near = 2.0 ** round(math.log2(rate)) if rate > 0 else 2.0**-10
        raise SvpgError(f"{name} = {rate:g} is not a power of two, which devices need; use {near:g}")
    return 1 - exponent
