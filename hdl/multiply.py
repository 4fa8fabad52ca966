"""Products of unsigned numbers: by a multiplier, by adders, or with a constant."""

from __future__ import annotations

from amaranth import Mux
from amaranth.hdl import Value


def product(a: Value, b: Value, *, in_logic: bool) -> Value:
    """``a * b`` as an expression of full width.

    Parameters
    ----------
    a, b: unsigned values.
    in_logic: add up the shifted ``a`` for every bit of ``b`` in a tree of adders, so that no multiplier is used.
    """
    if not in_logic:
        return a * b
    parts = [Mux(b[bit], a << bit, 0) for bit in range(len(b))]
    while len(parts) > 1:
        pairs = [left + right for left, right in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(pairs) * 2 :]
    return parts[0][: len(a) + len(b)]


def times(value: Value, factor: int) -> Value:
    """``value * factor`` for a constant above 0, by adders; synthesis would take a multiplier."""
    parts = [value << bit for bit in range(factor.bit_length()) if factor >> bit & 1]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
