"""Instructions of the compact core's processor: one definition for assembler, hardware and twin (docs/compact.md).

An instruction is 32 bits: the operation, and the numbers of three registers, ``d`` that it writes, ``a`` and ``b`` that
it reads. A jump has its target in the place of ``d``. There are no immediates: a constant is a register that nothing
writes, and holds its value from the beginning.
"""

from __future__ import annotations

import enum

from amaranth.lib import data

WORD_BITS = 32
"""Bits of a register, of a word of the store and of a potential."""

REGISTER_BITS = 8
"""Bits of the number of a register."""

TARGET_BITS = 11
"""Bits of the address of an instruction."""


class Op(enum.IntEnum):
    """Operations; d, a, b stand for the values of the registers."""

    ADD = 0
    """d = a + b, low 32 bits."""
    SUB = 1
    """d = a - b, low 32 bits."""
    AND = 2
    """d = a and b, bit by bit."""
    OR = 3
    """d = a or b."""
    XOR = 4
    """d = a exclusive-or b."""
    MIN = 5
    """The smaller, signed."""
    MAX = 6
    """The greater, signed."""
    SHL = 7
    """d = a to the left by the low 5 bits of b."""
    SHR = 8
    """d = a to the right by the same, zeros from above."""
    SAR = 9
    """The same, copies of the sign from above."""
    ROL = 10
    """a rotated to the left by the same."""
    LEN = 11
    """Bits of a, unsigned: 0 for 0, 32 if the highest is set."""
    MUL = 12
    """Bits 31 to 0 of a * b, signed."""
    MULH = 13
    """Bits 47 to 16 of a * b, signed."""
    LOAD = 14
    """d = store[a + b]."""
    STORE = 15
    """store[a] = b."""
    LOADP = 16
    """d = potentials[a + b]."""
    STOREP = 17
    """potentials[a] = b."""
    LOADT = 18
    """d = table[a + b], 16 bits, unsigned."""
    IN = 19
    """d = the next word of a command, its mark in bit 16; waits for it."""
    OUT = 20
    """Sends the low 17 bits of (a or b) as a word of a response, its mark in bit 16; waits until it is taken."""
    SPAN = 21
    """From now on, ROW works on the potentials a to a + b - 1; b > 0."""
    ROW = 22
    """potentials[j] += low half of b * low half of store[a + j - first], signed, for every j of the span."""
    CYCLES = 23
    """d = cycles since reset, modulo 2**32."""
    JUMP = 24
    """Goes on at the target."""
    RETURN = 25
    """Goes on at the address in a."""
    BEQ = 26
    """Goes on at the target if a = b."""
    BNE = 27
    """... if a and b differ."""
    BLT = 28
    """... if a < b, signed."""
    BGE = 29
    """... if a >= b, signed."""
    CALL = 30
    """The address of the next instruction goes into the register that is read as a; goes on at the target."""


BRANCHES = frozenset({Op.JUMP, Op.CALL, Op.BEQ, Op.BNE, Op.BLT, Op.BGE})
"""What has a target."""

WRITES = frozenset(Op) - BRANCHES - {Op.STORE, Op.STOREP, Op.OUT, Op.SPAN, Op.ROW, Op.RETURN}
"""What writes d."""

COMPARES = frozenset({Op.BEQ, Op.BNE, Op.BLT, Op.BGE, Op.MIN, Op.MAX})
"""What depends on a comparison, which has a cycle of its own."""

LOADS = frozenset({Op.LOAD, Op.LOADP, Op.LOADT})
"""What reads a memory."""

MULTIPLIES = frozenset({Op.MUL, Op.MULH})

CYCLES = {op: 3 if op in COMPARES | LOADS else 4 if op in MULTIPLIES else 2 for op in Op}
"""Cycles of each; IN and OUT take more where they wait."""

ROW_CYCLES = 4
"""Cycles of ROW beside one per potential."""

INSTRUCTION = data.StructLayout({"b": REGISTER_BITS, "a": REGISTER_BITS, "d": TARGET_BITS, "op": 5})
"""An instruction as it lies in memory; the low bits of ``d`` are a register, or all of them a target."""


def encode(op: Op, d: int = 0, a: int = 0, b: int = 0) -> int:
    """An instruction as an integer."""
    return int(op) << (TARGET_BITS + 2 * REGISTER_BITS) | d << (2 * REGISTER_BITS) | a << REGISTER_BITS | b


def decode(word: int) -> tuple[Op, int, int, int]:
    """The inverse of :func:`encode`."""
    low = (1 << REGISTER_BITS) - 1
    return (
        Op(word >> (TARGET_BITS + 2 * REGISTER_BITS)),
        word >> (2 * REGISTER_BITS) & ((1 << TARGET_BITS) - 1),
        word >> REGISTER_BITS & low,
        word & low,
    )
