"""The random generator: Threefry-2x32 with 20 rounds, counter based (docs/numerics.md, "Random numbers").

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; passes TestU01
BigCrush, and PractRand far beyond the lengths used here. Additions, rotations and exclusive-ors only, so it
costs no multiplier in logic. A draw is a pure function of (nonce, stream, index).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.compiled import compiled, inlined

ROUNDS = 20
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
DRAWS_PER_BLOCK = 4
"""16-bit draws in one 64-bit block."""

STREAM_WINNERS = 0
"""Stream of the winners of a decision; draw index = group, the action group last."""

STREAM_START = 1
"""Stream of the random start of the weights."""

STREAM_SPIKES = 2
"""Stream of the spikes of hidden and action groups; :func:`first_draw` tells where a time step's draws begin."""

STREAM_OBS = 3
"""Stream of the observation neurons' spikes."""

_M32 = 0xFFFFFFFF
_ROTATIONS = np.array(ROTATIONS, dtype=np.uint64)


@inlined
def threefry2x32(key0, key1, counter0, counter1):  # type: ignore[no-untyped-def]
    """One 64-bit block: two 32-bit words from a 64-bit key and a 64-bit counter (words as uint64)."""
    mask = np.uint64(_M32)
    k0 = np.uint64(key0) & mask
    k1 = np.uint64(key1) & mask
    k2 = np.uint64(PARITY) ^ k0 ^ k1
    x0 = (np.uint64(counter0) + k0) & mask
    x1 = (np.uint64(counter1) + k1) & mask
    for r in range(ROUNDS):
        rotation = _ROTATIONS[r & 7]
        x0 = (x0 + x1) & mask
        x1 = ((x1 << rotation) | (x1 >> (np.uint64(32) - rotation))) & mask
        x1 ^= x0
        if r & 3 == 3:
            injection = np.uint64((r >> 2) + 1)
            x0 = (x0 + k1) & mask
            x1 = (x1 + k2 + injection) & mask
            k0, k1, k2 = k1, k2, k0
    return x0, x1


@compiled
def draw_into(out: NDArray[np.int64], nonce: int, stream: int, first: int = 0) -> None:
    """Fill ``out`` with consecutive 16-bit draws of a nonce and stream from draw ``first`` on, a multiple of 4.

    Block b = threefry(key = (nonce low, nonce high), counter = (b, stream)) holds draws 4b to 4b+3, lowest
    half word first: word0[15:0], word0[31:16], word1[15:0], word1[31:16].
    """
    half = np.uint64(0xFFFF)
    shift = np.uint64(16)
    key = np.uint64(nonce)
    for index in range(0, out.size, 4):
        block = np.uint64((first + index) >> 2)
        x0, x1 = threefry2x32(key & np.uint64(_M32), key >> np.uint64(32), block, np.uint64(stream))
        out[index] = np.int64(x0 & half)
        if index + 1 < out.size:
            out[index + 1] = np.int64(x0 >> shift)
        if index + 2 < out.size:
            out[index + 2] = np.int64(x1 & half)
        if index + 3 < out.size:
            out[index + 3] = np.int64(x1 >> shift)


@inlined
def first_draw(step, count):  # type: ignore[no-untyped-def]
    """First of the ``count`` draws of a time step: every step begins with a new block."""
    return step * ((count + DRAWS_PER_BLOCK - 1) // DRAWS_PER_BLOCK * DRAWS_PER_BLOCK)


@compiled
def _draw_rows(out: NDArray[np.int64], nonce: NDArray[np.uint64], stream: int) -> None:
    for row in range(out.shape[0]):
        draw_into(out[row], nonce[row], stream)


def draws(nonce: NDArray[np.uint64], count: int, stream: int = STREAM_WINNERS) -> NDArray[np.int64]:
    """The first ``count`` draws of each nonce, int64 (B, count), uniform over [0, 65536).

    Parameters
    ----------
    nonce: uint64 (B,).
    stream: 32-bit stream number.
    """
    nonce = np.ascontiguousarray(nonce, dtype=np.uint64)
    out = np.empty((nonce.size, count), dtype=np.int64)
    _draw_rows(out, nonce, stream)
    return out
