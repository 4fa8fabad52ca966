"""The compact core's program: the softmax of a group (docs/numerics.md, "Softmax")."""

from __future__ import annotations

from golden.config import (
    EXP_FRAC,
    RECIPROCAL_FRAC,
    RECIPROCAL_INDEX_BITS,
    RECIPROCAL_REMAINDER_BITS,
    DeviceConfig,
)
from golden.kernels import constants
from hdl.compact.assembler import Assembler, Register
from hdl.compact.instructions import Op
from hdl.compact.places import Places

HALF_WORD = 16
"""Bits of a draw, and those that MULH leaves out below."""


class Softmax:
    """Terms, their sum, and outputs.

    Golden twins: :func:`golden.kernels.exponentials`, :func:`golden.kernels.reciprocal`,
    :func:`golden.kernels.normalise`.

    Attributes
    ----------
    bounds: routine; ``low`` and ``high`` become those of the group ``group``.
    exponentials: routine; terms of [``low``, ``high``), and ``total``, their sum.
    reciprocal: routine; that of ``total``. :meth:`normalising` has to follow.
    """

    def __init__(self, p: Assembler, config: DeviceConfig, places: Places) -> None:
        self._p, self._config, self._places, self._c = p, config, places, constants(config)
        self.group, self.low, self.high, self.total = p.registers("group group_low group_high total")
        self._reciprocal, self._half, self._shift = p.registers("reciprocal half shift")
        self._j, self._value, self._other = p.registers("j x y")
        self.bounds, self.exponentials, self.reciprocal = map(p.label, ("bounds", "exponentials", "reciprocal"))

    def normalising(self, frac: int) -> None:
        """After the reciprocal: outputs of the softmax will have ``frac`` fraction bits.

        Their shift, ``RECIPROCAL_FRAC + exponent - frac``, is above the 16 bits that MULH leaves out, so that rounding
        needs none of these.
        """
        p = self._p
        p.add(self._shift, self._shift, RECIPROCAL_FRAC - frac - HALF_WORD)
        p.sub(self._half, self._shift, 1)
        p.emit(Op.SHL, self._half, 1, self._half)

    def normalised(self, result: Register, at: Register, frac: int) -> None:
        """The output of a term in the store."""
        p = self._p
        p.emit(Op.LOAD, result, at, 0)
        p.emit(Op.MULH, result, result, self._reciprocal)
        p.add(result, result, self._half)
        p.emit(Op.SHR, result, result, self._shift)
        p.emit(Op.MIN, result, result, 1 << frac)

    def routines(self) -> None:
        """Their code."""
        p, c, config, places = self._p, self._c, self._config, self._places
        top, depth, octaves, term, at = p.registers("top depth octaves term x_at")
        value = self._value
        with p.routine(self.bounds):
            action = p.label("action")
            p.emit(Op.MUL, self.low, self.group, config.group_size)
            p.add(self.high, self.low, config.actions)
            p.branch((Op.BEQ, self.group, config.groups), action)
            p.add(self.high, self.low, config.group_size)
            p.place(action)
        fraction = (1 << c.exp_index_bits) - 1
        right, left = max(c.exp_shift, 0), max(-c.exp_shift, 0)
        with p.routine(self.exponentials):
            p.emit(Op.LOADP, top, self.low, 0)
            with p.count(self._j, self.low, self.high):
                p.emit(Op.LOADP, value, self._j, 0)
                p.emit(Op.MAX, top, top, value)
            p.move(self.total, 0)
            p.add(at, self.low, places.terms)
            with p.count(self._j, self.low, self.high):
                p.emit(Op.LOADP, value, self._j, 0)
                p.sub(depth, top, value)
                if right:
                    p.add(depth, depth, 1 << (right - 1))
                    p.emit(Op.SHR, depth, depth, right)
                elif left:
                    p.emit(Op.SHL, depth, depth, left)
                p.add(octaves, depth, fraction)
                p.emit(Op.SHR, octaves, octaves, c.exp_index_bits)
                p.move(term, 0)
                with p.when(Op.BGE, EXP_FRAC, octaves):
                    p.sub(depth, 0, depth)
                    p.emit(Op.AND, depth, depth, fraction)
                    p.emit(Op.LOADT, term, depth, places.table_start("exp"))
                    p.emit(Op.SHR, term, term, octaves)
                    p.add(self.total, self.total, term)
                p.emit(Op.STORE, None, at, term)
                p.add(at, at, 1)
        # Of `total`; leaves `shift`, its exponent, for :meth:`normalising`.
        mantissa, slope, width = value, self._other, RECIPROCAL_INDEX_BITS + RECIPROCAL_REMAINDER_BITS
        with p.routine(self.reciprocal):
            up, whole = p.label("up"), p.label("whole")
            p.emit(Op.LEN, self._shift, self.total)
            p.sub(self._shift, self._shift, 1)
            p.branch((Op.BLT, self._shift, width), up)
            p.sub(slope, self._shift, width)
            p.emit(Op.SHR, mantissa, self.total, slope)
            p.jump(whole)
            p.place(up)
            p.sub(slope, width, self._shift)
            p.emit(Op.SHL, mantissa, self.total, slope)
            p.place(whole)
            p.emit(Op.AND, depth, mantissa, (1 << RECIPROCAL_REMAINDER_BITS) - 1)
            p.emit(Op.SHR, mantissa, mantissa, RECIPROCAL_REMAINDER_BITS)
            p.emit(Op.AND, mantissa, mantissa, (1 << RECIPROCAL_INDEX_BITS) - 1)
            p.emit(Op.LOADT, slope, mantissa, places.table_start("slope"))
            p.emit(Op.MUL, slope, slope, depth)
            p.emit(Op.SHR, slope, slope, RECIPROCAL_REMAINDER_BITS)
            p.emit(Op.LOADT, self._reciprocal, mantissa, places.table_start("base"))
            p.add(self._reciprocal, self._reciprocal, 1)
            p.sub(self._reciprocal, self._reciprocal, slope)
