"""Where every random number of a run comes from: pure functions of seed, purpose and counters.

A device draws from a 64-bit nonce, so a decision can be replayed from its number alone; environments are
reset with seeds that depend on nothing but the run's seed, the environment and the episode.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from host.settings import SEED_BITS

PURPOSE_BITS = 4
COUNTER_BITS = 64 - SEED_BITS - PURPOSE_BITS


class Purpose(enum.IntEnum):
    """Streams that never share a nonce or a seed."""

    ACT = 0
    REDRAW = 1
    VALIDATE = 2
    PLAY = 3
    INITIAL = 4
    SAMPLES = 5
    CRITIC = 6
    SPLIT = 7
    CENTRE = 8


def nonces(seed: int, purpose: Purpose, first: int, count: int) -> NDArray[np.uint64]:
    """Consecutive nonces ``seed | purpose | counter``, uint64 (count,), counters from ``first``."""
    return nonces_at(seed, purpose, np.arange(first, first + count))


def nonces_at(seed: int, purpose: Purpose, counters: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The nonces of some counters (B,)."""
    head = (seed << (PURPOSE_BITS + COUNTER_BITS)) | (int(purpose) << COUNTER_BITS)
    return np.uint64(head) + counters.astype(np.uint64)


def environment_seed(seed: int, purpose: Purpose, environment: int, episode: int) -> int:
    """32-bit seed of one episode's reset."""
    return int(np.random.SeedSequence((seed, int(purpose), environment, episode)).generate_state(1)[0])


def generator(seed: int, purpose: Purpose) -> np.random.Generator:
    """A NumPy generator for work on the host (minibatches, initial weights, splits)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, int(purpose)))))
