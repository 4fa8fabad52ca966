"""Fixed-point arithmetic as expressions (docs/numerics.md, "Formats")."""

from __future__ import annotations

from amaranth import C, Mux, signed
from amaranth.hdl import Value


def shift_round(value: Value, amount: Value, most: int) -> Value:
    """``value / 2**amount`` to the nearest integer, halves away from zero (:func:`golden.kernels.shift_round`).

    ``most`` is the largest amount, from which the width of what is computed follows.
    """
    up, down = halves(amount, most)
    return (value + Mux(value < 0, down, up)) >> amount


def halves(amount: Value, most: int) -> tuple[Value, Value]:
    """What :func:`shift_round` adds before it shifts: to a value from 0 on, and to one below 0.

    They do not need the value, so they can be made before it is there.
    """
    half = ((C(1) << amount) >> 1)[:most]
    return half, Mux(amount == 0, 0, half - 1)[:most]


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
