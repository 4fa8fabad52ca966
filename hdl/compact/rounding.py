"""The compact core's program: the project's one rounding rule (docs/numerics.md, "Formats")."""

from __future__ import annotations

from hdl.compact.assembler import Assembler
from hdl.compact.instructions import WORD_BITS, Op


class Rounding:
    """``shift_round``: ``value / 2**shift`` to the nearest integer, halves away from zero.

    A negative shift multiplies. The magnitude goes through ``(m >> (shift - 1) + 1) >> 1``, which needs no more bits
    than the value has.

    Attributes
    ----------
    entry: the routine. value, shift: its registers; the result is in ``value``, ``shift`` stays.
    """

    def __init__(self, p: Assembler) -> None:
        self._p = p
        self.value, self.shift = p.registers("round_value round_shift")
        self.entry = p.label("shift_round")

    def routines(self) -> None:
        """Its code."""
        p = self._p
        sign, less = p.registers("round_sign round_less")
        exact = p.label("exact")
        with p.routine(self.entry):
            done = p.label("rounded")
            p.branch((Op.BGE, 0, self.shift), exact)
            # All ones if the value is negative.
            p.emit(Op.SAR, sign, self.value, WORD_BITS - 1)
            p.emit(Op.XOR, self.value, self.value, sign)
            p.sub(self.value, self.value, sign)
            p.sub(less, self.shift, 1)
            # Shifts beyond the word leave nothing.
            p.emit(Op.MIN, less, less, WORD_BITS - 1)
            p.emit(Op.SHR, self.value, self.value, less)
            p.add(self.value, self.value, 1)
            p.emit(Op.SHR, self.value, self.value, 1)
            p.emit(Op.XOR, self.value, self.value, sign)
            p.sub(self.value, self.value, sign)
            p.jump(done)
            p.place(exact)
            p.sub(less, 0, self.shift)
            p.emit(Op.SHL, self.value, self.value, less)
            p.place(done)
