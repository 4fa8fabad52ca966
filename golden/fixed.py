"""Fixed-point formats and the project's only rounding rule (docs/numerics.md, "Formats")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.compiled import compiled, inlined
from golden.errors import SvpgError

Integer = TypeVar("Integer", bound=np.signedinteger)

LOG2E = 1.4426950408889634
"""Octaves per nat: device weights are held in octaves, files in nats."""


@dataclass(frozen=True)
class Format:
    """A two's-complement or unsigned fixed-point format: ``raw = value * 2**frac``.

    Parameters
    ----------
    name: what the numbers are, for messages.
    bits: total width, sign included.
    frac: fraction bits.
    signed: two's complement when true.
    symmetric: leaves out the smallest signed integer, so that negation cannot overflow.
    """

    name: str
    bits: int
    frac: int
    signed: bool = True
    symmetric: bool = False

    @property
    def low(self) -> int:
        """Smallest raw integer."""
        return int(self.symmetric) - (1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest raw integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def lsb(self) -> float:
        """Value of one unit in the last place."""
        return 2.0**-self.frac

    @property
    def container(self) -> type[np.signedinteger]:
        """Smallest signed integer of NumPy's, of 16 bits or more, that holds the format."""
        bits = self.bits + (not self.signed)
        return np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64

    def round(self, values: ArrayLike) -> NDArray[np.float64]:
        """Scale and round to the nearest integer, halves away from zero; no range check (float64)."""
        scaled = np.asarray(values, dtype=np.float64) * float(1 << self.frac)
        rounded: NDArray[np.float64] = away_from_zero.py_func(scaled)
        return rounded

    @overload
    def quantise(self, values: ArrayLike) -> NDArray[np.int64]: ...

    @overload
    def quantise(self, values: ArrayLike, dtype: type[Integer]) -> NDArray[Integer]: ...

    def quantise(self, values: ArrayLike, dtype: type[np.signedinteger] = np.int64) -> NDArray[np.signedinteger]:
        """Convert real values to raw integers.

        Parameters
        ----------
        dtype: of the result; it has to hold the format.

        Raises
        ------
        SvpgError: if a value is not finite or lies outside the format; the message counts them and
            names the largest.
        """
        array = np.asarray(values, dtype=np.float64)
        result = np.empty(array.shape, dtype=dtype)
        flat, raw = array.reshape(-1), result.reshape(-1)
        if not quantise_into(flat, float(1 << self.frac), self.low, self.high, raw):
            raise self._refused(array)
        return result

    def _refused(self, array: NDArray[np.float64]) -> SvpgError:
        """What is wrong with values that have no raw integers."""
        raw = self.round(array)
        bad = ~np.isfinite(raw)
        if bad.any():
            return SvpgError(
                f"{self.name}: {int(bad.sum())} of {array.size} values are not finite numbers; remove NaN and infinity"
            )
        outside = (raw < self.low) | (raw > self.high)
        worst = array[outside][np.argmax(np.abs(array[outside]))]
        return SvpgError(
            f"{self.name}: {int(outside.sum())} of {array.size} values lie outside "
            f"[{self.low * self.lsb:g}, {self.high * self.lsb:g}], the largest is {worst:g}; "
            "scale them down or widen the format"
        )

    def saturate(self, values: ArrayLike) -> NDArray[np.int64]:
        """Convert real values to raw integers, clamping to the format (NaN is refused)."""
        raw = self.round(values)
        if np.isnan(raw).any():
            raise SvpgError(f"{self.name}: {int(np.isnan(raw).sum())} values are NaN; check what computed them")
        return np.clip(raw, self.low, self.high).astype(np.int64)

    def to_float(self, raw: ArrayLike) -> NDArray[np.float64]:
        """Real values of raw integers (exact)."""
        return np.asarray(raw, dtype=np.float64) * self.lsb

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}.{self.frac}"


@inlined
def away_from_zero(values):  # type: ignore[no-untyped-def]
    """The rule: to the nearest integer, halves away from zero; of one float64 when compiled, or of an array."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


@compiled
def quantise_into(values, scale, low, high, raw):  # type: ignore[no-untyped-def]
    """``raw[i]`` = :meth:`Format.round` of ``values[i]`` in one pass; whether all lie within [low, high].

    Parameters
    ----------
    values: float64 (n,); NaN lies nowhere.
    scale: 2**frac; low, high: of the format.
    raw: integer (n,), undefined where the answer is no.
    """
    # Nothing here branches, so that several values are rounded at a time.
    least, most, outside = float(low), float(high), 0
    for i in range(values.size):
        rounded = away_from_zero(values[i] * scale)
        inside = (least <= rounded) & (rounded <= most)
        outside += not inside
        raw[i] = rounded if inside else 0.0
    return outside == 0
