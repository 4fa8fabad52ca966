"""What training sees of a learning algorithm, and the sums over time that the algorithms share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Episode:
    """One row of the metrics: a finished episode, or one batch of classifications.

    Parameters
    ----------
    steps: environment steps of the whole run so far (classification: images).
    total: undiscounted return (classification: share of right answers).
    length: steps of this episode (images of this batch).
    entropy: mean entropy of the policy over the episode, nats.
    loss: the critic's latest mean squared error, NaN where there is none.
    """

    steps: int
    total: float
    length: int
    entropy: float
    loss: float


class Learner(Protocol):
    """An algorithm in training. Everything it does is a pure function of its state."""

    def advance(self) -> list[Episode]:
        """Train up to the next point at which a checkpoint may be taken; finished episodes in order."""

    def cut(self) -> None:
        """Start new episodes in every environment, so that :meth:`state` need not describe environments."""

    def state(self) -> State:
        """Everything that later results depend on."""

    def restore(self, state: State) -> None:
        """Return to a state that :meth:`state` gave."""

    def close(self) -> None:
        """Release environments."""


def subset(state: State, prefix: str) -> State:
    """Entries whose name starts with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


@numba.njit(cache=True)
def discount(rewards: Array, gamma: float, tail: float) -> Array:
    """Discounted returns-to-go (T,) of consecutive rewards (T,); ``tail`` is the value after the last one."""
    returns = np.empty_like(rewards)
    for index in range(rewards.size - 1, -1, -1):
        tail = rewards[index] + gamma * tail
        returns[index] = tail
    return returns


def generalised_advantage(
    rewards: Array, values: Array, following: Array, ended: NDArray[np.bool_], gamma: float, decay: float
) -> Array:
    """Generalised advantage estimates, float64 (T, E).

    ``A_t = delta_t + gamma * decay * [not ended_t] * A_(t+1)``, ``delta_t = r_t + gamma * V'_t - V_t``
    (Schulman et al., "High-dimensional continuous control using generalized advantage estimation", 2016, eq. 16).

    Parameters
    ----------
    rewards: (T, E).
    values: (T, E), V of the observation that was acted on.
    following: (T, E), V of the observation that came next in the same episode, 0 where the episode terminated.
    ended: (T, E), the episode terminated or was truncated at this step.
    gamma, decay: discount and λ.
    """
    delta = rewards + gamma * following - values
    advantage = np.empty_like(delta)
    running = np.zeros(delta.shape[1])
    for t in range(len(delta) - 1, -1, -1):
        running = delta[t] + gamma * decay * np.where(ended[t], 0.0, running)
        advantage[t] = running
    return advantage


def standardise(values: Array) -> Array:
    """Mean 0 and deviation 1; all zero where the values do not differ."""
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros_like(values)


def pack_generator(rng: np.random.Generator) -> State:
    """State of a PCG64 generator as arrays; its two 128-bit integers as four 64-bit words."""
    state = rng.bit_generator.state
    words = [(state["state"][name] >> shift) & 0xFFFF_FFFF_FFFF_FFFF for name in ("state", "inc") for shift in (0, 64)]
    return {
        "words": np.array(words, dtype=np.uint64),
        "half": np.array([state["has_uint32"], state["uinteger"]], dtype=np.uint64),
    }


def unpack_generator(rng: np.random.Generator, state: State) -> None:
    """The inverse of :func:`pack_generator`."""
    words, half = [int(word) for word in state["words"]], [int(word) for word in state["half"]]
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": words[0] | words[1] << 64, "inc": words[2] | words[3] << 64},
        "has_uint32": half[0],
        "uinteger": half[1],
    }
