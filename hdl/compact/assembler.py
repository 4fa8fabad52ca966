"""Programs of the compact core, written in Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from golden.errors import SvpgError
from hdl.compact.instructions import REGISTER_BITS, TARGET_BITS, WORD_BITS, Op, encode

REGISTERS = 1 << REGISTER_BITS
INSTRUCTIONS = 1 << TARGET_BITS


@dataclass(frozen=True)
class Register:
    """A register by its number; ``name`` is for people."""

    number: int
    name: str


@dataclass(eq=False)
class Label:
    """A place in the program; ``address`` is known once it has been placed."""

    name: str
    address: int | None = None


Operand = Register | int
"""Of an instruction: a register, or a constant, which gets one."""

OPPOSITE = {Op.BEQ: Op.BNE, Op.BNE: Op.BEQ, Op.BLT: Op.BGE, Op.BGE: Op.BLT}


@dataclass(frozen=True)
class Program:
    """What the processor is made with.

    Parameters
    ----------
    instructions: from address 0 on.
    registers: first values of all registers, unsigned.
    """

    instructions: tuple[int, ...]
    registers: tuple[int, ...]


class Assembler:
    """Collects instructions.

    Operands come in the order d, a, b; constants are allowed for a and b.
    """

    def __init__(self) -> None:
        self._code: list[tuple[Op, Register | Label | None, Operand, Operand]] = []
        self._names: dict[str, Register] = {}
        self._constants: dict[int, Register] = {}
        self._count = 0

    # --- registers -----------------------------------------------------------------------------------------
    def register(self, name: str) -> Register:
        """The register of a name; the same for the same name."""
        if name not in self._names:
            self._names[name] = self._new(name)
        return self._names[name]

    def registers(self, names: str) -> list[Register]:
        """Those of some names, blanks between."""
        return [self.register(name) for name in names.split()]

    def _new(self, name: str) -> Register:
        self._count += 1
        return Register(self._count - 1, name)

    def _constant(self, value: int) -> Register:
        key = value & ((1 << WORD_BITS) - 1)
        if key not in self._constants:
            self._constants[key] = self._new("")
        return self._constants[key]

    # --- instructions --------------------------------------------------------------------------------------
    def emit(self, op: Op, d: Register | Label | None = None, a: Operand = 0, b: Operand = 0) -> None:
        """One instruction."""
        for value in (a, b):
            if isinstance(value, int) and not -(1 << (WORD_BITS - 1)) <= value < 1 << WORD_BITS:
                raise ValueError(f"{op.name}: the constant {value} has more than {WORD_BITS} bits")
        self._code.append((op, d, a, b))

    def add(self, d: Register, a: Operand, b: Operand) -> None:
        """d = a + b."""
        self.emit(Op.ADD, d, a, b)

    def sub(self, d: Register, a: Operand, b: Operand) -> None:
        """d = a - b."""
        self.emit(Op.SUB, d, a, b)

    def move(self, d: Register, a: Operand) -> None:
        """d = a."""
        self.emit(Op.OR, d, a, a)

    def clamp(self, d: Register, a: Operand, low: Operand, high: Operand) -> None:
        """d = a, saturated to [low, high]."""
        self.emit(Op.MAX, d, a, low)
        self.emit(Op.MIN, d, d, high)

    # --- control -------------------------------------------------------------------------------------------
    def label(self, name: str) -> Label:
        """A label that is to be placed."""
        return Label(name)

    def place(self, label: Label) -> None:
        """The next instruction is the label's."""
        if label.address is not None:
            raise ValueError(f"the label {label.name} is placed twice")
        label.address = len(self._code)

    def jump(self, target: Label) -> None:
        """Go on elsewhere."""
        self.emit(Op.JUMP, target)

    def branch(self, condition: tuple[Op, Operand, Operand], target: Label) -> None:
        """Go on elsewhere under a condition."""
        op, a, b = condition
        self.emit(op, target, a, b)

    @contextlib.contextmanager
    def when(self, op: Op, a: Operand, b: Operand) -> Iterator[None]:
        """What follows happens only where a branch would be taken."""
        end = self.label("end")
        self.emit(OPPOSITE[op], end, a, b)
        yield
        self.place(end)

    @contextlib.contextmanager
    def count(self, index: Register, first: Operand, last: Operand) -> Iterator[None]:
        """Once for every ``index`` in [first, last), of which there is at least one."""
        again = self.label("again")
        self.move(index, first)
        self.place(again)
        yield
        self.add(index, index, 1)
        self.branch((Op.BLT, index, last), again)

    @contextlib.contextmanager
    def routine(self, entry: Label) -> Iterator[None]:
        """A subroutine, entered by :meth:`call`; none calls itself."""
        self.place(entry)
        yield
        self.emit(Op.RETURN, None, self.register(f"return_{entry.name}"))

    def call(self, entry: Label) -> None:
        """Run a subroutine."""
        self.emit(Op.CALL, entry, self.register(f"return_{entry.name}"))

    # --- the result ----------------------------------------------------------------------------------------
    def program(self) -> Program:
        """Everything so far.

        Raises
        ------
        SvpgError: more instructions or registers than there are.
        """
        instructions = tuple(
            encode(op, self._address(d) if isinstance(d, Label) else self._number(d), self._number(a), self._number(b))
            for op, d, a, b in self._code
        )
        for count, most, what in (
            (len(instructions), INSTRUCTIONS, "instructions"),
            (self._count, REGISTERS, "registers"),
        ):
            if count > most:
                raise SvpgError(f"the compact core's program takes {count} {what} of {most}; leave rules out")
        registers = [0] * REGISTERS
        for value, register in self._constants.items():
            registers[register.number] = value
        return Program(instructions, tuple(registers))

    def _number(self, operand: Operand | None) -> int:
        """What stands for an operand in its field."""
        if operand is None:
            return 0
        return operand.number if isinstance(operand, Register) else self._constant(operand).number

    @staticmethod
    def _address(label: Label) -> int:
        if label.address is None:
            raise ValueError(f"the label {label.name} is placed nowhere")
        return label.address
