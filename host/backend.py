"""What every device offers to the host: the float reference, golden, the Verilated RTL, a board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.parameters import Parameters

RULES = ("published", "conditional", "contrastive")
"""Learning rules (docs/learning.md)."""

POLICIES = ("sample", "greedy", "conditional")
"""How winners are chosen: independent draws from q, the largest potential, or the action given the hidden draw."""


@dataclass(frozen=True)
class Port:
    """Where a board is.

    Parameters
    ----------
    path: of a serial port, such as ``/dev/ttyUSB0``.
    baud: bits per second that its bitstream was built for.
    """

    path: str
    baud: int = 3_000_000


@dataclass
class Decision:
    """Results of a batch of ``INFER`` transactions.

    Attributes
    ----------
    winners: int64 (B, G+1), the winner of every group as an index within its group; last the action.
    action_prob: float64 (B, A), the policy the action was drawn from.
    q: float64 (B, N), activity of all neurons after the last softmax; may be (B, 0) if it was not asked for.
    iterations: int64 (B,), softmax passes.
    counters: int64 arrays (B,) by name; ``events`` and ``row_words`` on devices, ``cycles`` and
        ``stalls`` on hardware.
    spikes: int64 (B, T, G+1), index within the group of every spike in spike mode; ``None`` if not asked for.
    """

    winners: NDArray[np.int64]
    action_prob: NDArray[np.float64]
    q: NDArray[np.float64]
    iterations: NDArray[np.int64]
    counters: dict[str, NDArray[np.int64]]
    spikes: NDArray[np.int64] | None = None

    @property
    def action(self) -> NDArray[np.int64]:
        """Chosen actions, int64 (B,)."""
        return self.winners[:, -1]


@dataclass(frozen=True)
class Update:
    """One ``APPLY`` transaction.

    Attributes
    ----------
    optimiser: ``sgd``, ``rmsprop`` or ``sign`` on devices (docs/numerics.md); ``sgd``, ``rmsprop`` or
        ``adam`` in the float reference.
    rate: learning rate of the recurrent weights and biases; a power of two on devices.
    obs_rate: learning rate of the observation rows.
    decay, floor: of the second moment of ``rmsprop`` on devices: it follows with weight 2**-decay and is at least
        2**-floor. The float reference has its own.
    batch: samples that were accumulated; the gradient is their mean (devices divide by the nearest power of
        two: 100 samples count as 128).
    """

    optimiser: str
    rate: float
    obs_rate: float
    batch: int
    decay: int = 7
    floor: int = 20


class Backend(Protocol):
    """A device as the host sees it. Every call is a pure function of its arguments and the device's state."""

    name: str
    config: DeviceConfig

    def info(self) -> dict[str, Any]:
        """Sizes, formats, versions: what ``svpg info`` prints."""

    def load(self, parameters: Parameters) -> None:
        """Replace weights and biases; accumulators and optimiser state become zero."""

    def read(self) -> Parameters:
        """Current weights and biases."""

    def infer(
        self,
        obs: NDArray[np.float64],
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        winners: NDArray[np.int64] | None = None,
        activity: bool = True,
        spikes: bool = False,
    ) -> Decision:
        """Decide a batch: ``obs`` (B, S) float, ``nonce`` (B,) uint64, ``policy`` one of :data:`POLICIES`.

        With ``policy="conditional"``, ``winners`` (B, G+1) may fix the hidden winners instead of drawing them
        (the last column is not read): ``action_prob`` is then P(a | s, h). Hardware answers sooner without the
        ``activity`` of all neurons; ``spikes`` asks for every spike of a decision in spike mode.
        """

    def learn(
        self,
        obs: NDArray[np.float64],
        winners: NDArray[np.int64],
        modulator: NDArray[np.float64],
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
    ) -> None:
        """Accumulate eligibility times modulator of a batch.

        ``obs`` (B, S), ``winners`` (B, G+1) as ``infer`` returned them, ``modulator`` (B,), ``rule`` one of
        :data:`RULES`; in spike mode ``nonce`` (B,) as well, as ``infer`` was given it.
        """

    def apply(self, update: Update) -> None:
        """Update the parameters from the accumulators and clear these."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that later results depend on, as arrays; ``restore`` takes it back to the same bits."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that ``state`` gave."""

    def close(self) -> None:
        """Give back what it holds, such as a port."""
