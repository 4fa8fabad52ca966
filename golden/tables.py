"""The two tables of the softmax (docs/numerics.md, "Softmax")."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from golden.config import EXP_FRAC, RECIPROCAL_FRAC, RECIPROCAL_INDEX_BITS


@functools.cache
def exp2_table(index_bits: int) -> NDArray[np.int64]:
    """``round(2**(EXP_FRAC + f / 2**index_bits))`` for f = 0 .. 2**index_bits - 1, int64.

    Computed as an integer root, hence the same on every platform: floor(x**(1/n)) of integers.
    """
    size = 1 << index_bits
    values = np.empty(size, dtype=np.int64)
    for f in range(size):
        # 2 * value = floor(2**(EXP_FRAC + 1 + f / size)); size is a power of two, so repeated isqrt is exact.
        root = 1 << ((EXP_FRAC + 1) * size + f)
        for _ in range(index_bits):
            root = math.isqrt(root)
        values[f] = (root + 1) >> 1
    values.setflags(write=False)
    return values


@functools.cache
def reciprocal_table() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Base and slope of 1/m over the segments of m in [1, 2), both int64 (2**RECIPROCAL_INDEX_BITS,).

    ``base[i]`` = 2**RECIPROCAL_FRAC / (1 + i / segments), rounded to nearest; ``slope[i]`` = ``base[i] - base[i + 1]``.
    """
    segments = 1 << RECIPROCAL_INDEX_BITS
    points = np.array(
        [(2 * (segments << RECIPROCAL_FRAC) + segments + i) // (2 * (segments + i)) for i in range(segments + 1)],
        dtype=np.int64,
    )
    base, slope = points[:-1].copy(), points[:-1] - points[1:]
    base.setflags(write=False)
    slope.setflags(write=False)
    return base, slope
