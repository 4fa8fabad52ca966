"""The compact core's processor in software: the twin of :class:`hdl.compact.processor.Processor`, cycles included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.protocol import Words
from hdl.compact.assembler import Program
from hdl.compact.firmware import firmware
from hdl.compact.instructions import CYCLES, REGISTER_BITS, ROW_CYCLES, TARGET_BITS, WORD_BITS, WRITES, Op
from hdl.compact.places import Places
from hdl.options import CoreOptions

compiled: Callable[..., Any] = numba.njit
"""Not kept on disk: Numba would not notice that what an instruction is or takes has changed in another file."""

ADD, SUB, AND, OR, XOR, MIN, MAX = (int(op) for op in (Op.ADD, Op.SUB, Op.AND, Op.OR, Op.XOR, Op.MIN, Op.MAX))
SHL, SHR, SAR, ROL, LEN, MUL, MULH = (int(op) for op in (Op.SHL, Op.SHR, Op.SAR, Op.ROL, Op.LEN, Op.MUL, Op.MULH))
LOAD, STORE, LOADP, STOREP, LOADT = (int(op) for op in (Op.LOAD, Op.STORE, Op.LOADP, Op.STOREP, Op.LOADT))
IN, OUT, SPAN, ROW, COUNT = (int(op) for op in (Op.IN, Op.OUT, Op.SPAN, Op.ROW, Op.CYCLES))
JUMP, CALL, RETURN, BEQ, BNE = (int(op) for op in (Op.JUMP, Op.CALL, Op.RETURN, Op.BEQ, Op.BNE))
BLT, BGE = int(Op.BLT), int(Op.BGE)

STATE = ("counter", "cycles", "first", "size")
"""What lies in the state of a twin: the next instruction, cycles since reset, and the span."""

_TAKES = np.array([CYCLES[op] for op in Op], dtype=np.int64)
_WRITES = np.array([op in WRITES for op in Op])
_MASK = (1 << WORD_BITS) - 1
_SHIFT_A, _SHIFT_D, _SHIFT_OP = REGISTER_BITS, 2 * REGISTER_BITS, 2 * REGISTER_BITS + TARGET_BITS
_REGISTER, _TARGET = (1 << REGISTER_BITS) - 1, (1 << TARGET_BITS) - 1


class ProcessorTwin:
    """A processor and its memories.

    Parameters
    ----------
    program: its instructions and first registers.
    table: its table.
    store, potentials: words of its memories, all zero at first.

    Attributes
    ----------
    cycles: since the beginning, as long as words are there when they are wanted and taken when they are offered.
    """

    def __init__(self, program: Program, table: tuple[int, ...], store: int, potentials: int) -> None:
        self._instructions = np.array(program.instructions, dtype=np.int64)
        self.registers = _signed(np.array(program.registers, dtype=np.int64))
        self._table = np.array(table, dtype=np.int64)
        self.store, self.potentials = np.zeros(store, dtype=np.int64), np.zeros(potentials, dtype=np.int64)
        self._state = np.array([0, 1, 0, 1], dtype=np.int64)

    @property
    def cycles(self) -> int:
        """Cycles since the beginning."""
        return int(self._state[STATE.index("cycles")])

    def exchange(self, words: NDArray[np.integer], most: int = 1 << 22) -> Words:
        """Take words until it waits for more, or comes to the end of its program; give what it has sent.

        Parameters
        ----------
        most: words that it may send.
        """
        sent = np.empty(most, dtype=np.uint32)
        count = _run(
            self._instructions,
            self.registers,
            self.store,
            self.potentials,
            self._table,
            self._state,
            np.ascontiguousarray(words, dtype=np.int64),
            sent,
        )
        return sent[:count].copy()


class CompactTwin:
    """A whole compact core in software, as a :class:`golden.client.Transport`.

    Parameters
    ----------
    config, options: of the core.

    Attributes
    ----------
    processor: its twin; ``store`` and ``potentials`` are what the hardware's memories hold.
    """

    def __init__(self, config: DeviceConfig, options: CoreOptions) -> None:
        places = Places(config, options.abilities, options.softmax_lanes)
        self.processor = ProcessorTwin(firmware(places), places.table, places.size, config.neurons)

    def exchange(self, words: NDArray[np.integer], responses: int | None = None) -> Words:
        """Answers to whole frames; ``responses`` is not looked at, for there is one to each."""
        return self.processor.exchange(words)


@compiled
def _signed(values):  # type: ignore[no-untyped-def]
    """The low 32 bits as two's complement."""
    return ((values & _MASK) ^ (1 << (WORD_BITS - 1))) - (1 << (WORD_BITS - 1))


@compiled
def _half(value):  # type: ignore[no-untyped-def]
    return ((value & 0xFFFF) ^ 0x8000) - 0x8000


@compiled
def _alu(op, x, y):  # type: ignore[no-untyped-def]
    """Results that depend on two values only."""
    n = y & 31
    bits = x & _MASK
    if op == ADD:
        return x + y
    if op == SUB:
        return x - y
    if op == AND:
        return x & y
    if op == OR:
        return x | y
    if op == XOR:
        return x ^ y
    if op == MIN:
        return min(x, y)
    if op == MAX:
        return max(x, y)
    if op == SHL:
        return bits << n
    if op == SHR:
        return bits >> n
    if op == SAR:
        return x >> n
    if op == ROL:
        return (bits << n) | (bits >> (32 - n))
    if op == LEN:
        length = 0
        while bits >> length:
            length += 1
        return np.int64(length)
    if op == MUL:
        return x * y
    # Bits 47 to 16; the product may have 63.
    return (x * y) >> 16


@compiled
def _run(instructions, registers, store, potentials, table, state, words, sent):  # type: ignore[no-untyped-def]
    counter, cycles, first, size = state[0], state[1], state[2], state[3]
    taken, count = 0, 0
    while counter < instructions.size:
        word = instructions[counter]
        op, d = word >> _SHIFT_OP, (word >> _SHIFT_D) & _TARGET
        x, y = registers[(word >> _SHIFT_A) & _REGISTER], registers[word & _REGISTER]
        after = counter + 1
        result = np.int64(0)
        if op <= MULH:
            result = _alu(op, x, y)
        elif op == LOAD:
            result = store[x + y]
        elif op == STORE:
            store[x] = y
        elif op == LOADP:
            result = potentials[x + y]
        elif op == STOREP:
            potentials[x] = y
        elif op == LOADT:
            result = table[x + y]
        elif op == IN:
            if taken == words.size:
                break
            result = words[taken]
            taken += 1
        elif op == OUT:
            sent[count] = (x | y) & 0x1FFFF
            count += 1
        elif op == SPAN:
            first, size = x, y
        elif op == ROW:
            for k in range(size):
                potentials[first + k] = _signed(potentials[first + k] + _half(y) * _half(store[x + k]))
            cycles += size + ROW_CYCLES - _TAKES[ROW]
        elif op == COUNT:
            result = cycles
        elif (
            op == JUMP
            or (op == BEQ and x == y)
            or (op == BNE and x != y)
            or (op == BLT and x < y)
            or (op == BGE and x >= y)
        ):
            after = d
        elif op == CALL:
            registers[(word >> _SHIFT_A) & _REGISTER] = after
            after = d
        elif op == RETURN:
            after = x
        if _WRITES[op]:
            registers[d & _REGISTER] = _signed(result)
        cycles += _TAKES[op]
        counter = after
    state[0], state[1], state[2], state[3] = counter, cycles, first, size
    return count
