"""Fixed-point arithmetic as expressions (docs/numerics.md, "Formats")."""

from __future__ import annotations

from amaranth import C, Mux, signed
from amaranth.hdl import Value


def shift_round(value: Value, amount: Value, most: int) -> Value:
    """``value / 2**amount`` to the nearest integer, halves away from zero (:func:`golden.kernels.shift_round`).

    ``most`` is the largest amount, from which the width of what is computed follows.
    """
    half = ((C(1) << amount) >> 1)[:most]
    return (value + half - ((value < 0) & (amount != 0))) >> amount


def saturate(value: Value, bits: int) -> Value:
    """A signed value within so many bits."""
    if len(value) <= bits:
        return value
    low, high = C(-(1 << bits - 1), signed(bits)), C((1 << bits - 1) - 1, signed(bits))
    upper = value[bits - 1 :]
    return Mux(upper.any() & ~upper.all(), Mux(value[-1], low, high), value[:bits].as_signed())


def bit_length(value: Value) -> Value:
    """Bits of a number, 0 for 0 (:func:`golden.kernels.bit_length`)."""
    length: Value = C(0, len(value).bit_length())
    for bit in range(len(value)):
        length = Mux(value[bit], bit + 1, length)
    return length
