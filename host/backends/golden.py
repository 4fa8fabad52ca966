"""The golden model behind the host's interface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.device import SECTIONS, Apply, Device, Inference
from golden.errors import SvpgError
from golden.parameters import Parameters, from_octaves, to_octaves
from host.backend import Decision, Update


class GoldenBackend:
    """Bit-accurate device in Python; see :class:`host.backend.Backend`.

    Observations and modulators are quantised here, modulators saturate; everything after that is integer.
    """

    name = "golden"

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.device = Device(config)

    def info(self) -> dict[str, Any]:
        """``INFO`` of the device."""
        return {"backend": self.name, **self.device.info()}

    def load(self, parameters: Parameters) -> None:
        """Quantise and load; accumulators and second moments become zero."""
        weight, bias = to_octaves(self.config, parameters)
        self.device.load("weight", weight)
        self.device.load("bias", bias)
        self.device.clear_learning()

    def read(self) -> Parameters:
        """Parameters in nats; loading them again gives the same integers."""
        shape = (self.config.sources, self.config.neurons)
        return from_octaves(self.config, self.device.read("weight").reshape(shape), self.device.read("bias"))

    def infer(
        self,
        obs: NDArray[np.float64],
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        winners: NDArray[np.int64] | None = None,
    ) -> Decision:
        """A batch of ``INFER`` transactions."""
        return self._decision(self.device.infer(self.config.obs.quantise(obs), nonce, policy, winners))

    def _decision(self, result: Inference) -> Decision:
        return Decision(
            winners=result.winners,
            action_prob=self.config.probability.to_float(result.prob_raw),
            q=self.config.activity.to_float(result.q_raw),
            iterations=result.iterations,
            counters={"events": result.events, "row_words": result.row_words},
        )

    def learn(
        self, obs: NDArray[np.float64], winners: NDArray[np.int64], modulator: NDArray[np.float64], rule: str
    ) -> None:
        """A batch of ``LEARN`` transactions."""
        self.device.learn(self.config.obs.quantise(obs), winners, self.config.modulator.saturate(modulator), rule)

    def apply(self, update: Update) -> None:
        """``APPLY`` with the mean over the power of two nearest to the batch."""
        self.device.apply(apply_arguments(update))

    def state(self) -> dict[str, NDArray[Any]]:
        """All memories."""
        return {section: getattr(self.device, section).copy() for section in SECTIONS}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Load all memories; all or nothing as to names and sizes.

        Raises
        ------
        SvpgError: a memory is missing or of another size, or its values do not fit.
        """
        for section in SECTIONS:
            expected = getattr(self.device, section).shape
            if section not in state:
                raise SvpgError(f"the saved device state lacks {section!r}; it belongs to another backend or version")
            if np.shape(state[section]) != expected:
                raise SvpgError(
                    f"the saved device state has {section} of shape {np.shape(state[section])}, expected {expected}; "
                    "use the configuration it was saved with"
                )
        for section in SECTIONS:
            self.device.load(section, state[section])


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
