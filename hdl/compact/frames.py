"""The compact core's program: words of commands in, words of responses out."""

from __future__ import annotations

from golden.protocol import HEADER_BITS, LAST, WORD_BITS, Status
from hdl.compact.assembler import Assembler, Label, Operand, Register
from hdl.compact.instructions import Op

WORD_MASK = LAST - 1


class Frames:
    """Reading and answering, word by word.

    Attributes
    ----------
    code, flags: of the frame that is being read.
    value: what has been read last.
    ended: not 0 once the frame's last word has been read.
    status: how the frame ends.
    """

    def __init__(self, p: Assembler) -> None:
        self._p = p
        self.code, self.flags, self.value, self.ended, self.status = p.registers("code flags value ended status")
        self._low = p.register("low")
        self._word, self._pair, self.short, self.refuse = map(p.label, ("word", "pair", "short", "refuse"))
        self.next = p.label("next")

    # --- used within other parts -----------------------------------------------------------------------------
    def read(self, signed: bool = False) -> None:
        """A word into ``value``; a frame without one ends here."""
        p = self._p
        p.call(self._word)
        if signed:
            self.extend()

    def extend(self) -> None:
        """The sign of a word that has been read goes through all of ``value``."""
        p = self._p
        p.emit(Op.SHL, self.value, self.value, WORD_BITS)
        p.emit(Op.SAR, self.value, self.value, WORD_BITS)

    def read_pair(self) -> None:
        """Two words into ``value``, the low one first."""
        self._p.call(self._pair)

    def fail(self, status: Status, op: Op, a: Operand, b: Operand) -> None:
        """End the frame with a status where a branch would be taken."""
        p = self._p
        p.move(self.status, status)
        p.branch((op, a, b), self.refuse)

    def fail_outside(self, status: Status, low: Operand, high: Operand) -> None:
        """... where ``value``, signed, lies outside [low, high]."""
        self.fail(status, Op.BLT, self.value, low)
        self._p.branch((Op.BLT, high, self.value), self.refuse)

    def end(self) -> None:
        """The frame must end here."""
        self.fail(Status.LENGTH, Op.BEQ, self.ended, 0)

    def answer(self, last: bool) -> None:
        """The header of a response of status ``OK``; as the ``last`` word, it is all of it."""
        self._p.emit(Op.OUT, None, self.code, LAST if last else 0)
        if last:
            self._p.jump(self.next)

    def send(self, value: Operand, last: bool = False) -> None:
        """A word of a response, the low bits of ``value``; with the ``last`` the frame is done."""
        p = self._p
        p.emit(Op.AND, self._low, value, WORD_MASK)
        p.emit(Op.OUT, None, self._low, LAST if last else 0)
        if last:
            p.jump(self.next)

    def send_pair(self, value: Register, last: bool = False) -> None:
        """Two words, the low one first."""
        p = self._p
        self.send(value)
        p.emit(Op.SHR, self._low, value, WORD_BITS)
        self.send(self._low, last)

    # --- the routines ----------------------------------------------------------------------------------------
    def routines(self) -> None:
        """Their code."""
        p, high = self._p, self._p.register("high_word")
        with p.routine(self._word):
            p.branch((Op.BNE, self.ended, 0), self.short)
            p.emit(Op.IN, self.value)
            p.emit(Op.SHR, self.ended, self.value, WORD_BITS)
            p.emit(Op.AND, self.value, self.value, WORD_MASK)
        with p.routine(self._pair):
            self.read()
            p.move(high, self.value)
            self.read()
            p.emit(Op.SHL, self.value, self.value, WORD_BITS)
            p.emit(Op.OR, self.value, self.value, high)
        p.place(self.short)
        p.move(self.status, Status.LENGTH)
        p.place(self.refuse)
        # The rest of the frame is dropped.
        answer = p.label("answer")
        p.branch((Op.BNE, self.ended, 0), answer)
        p.emit(Op.IN, self.value)
        p.emit(Op.SHR, self.ended, self.value, WORD_BITS)
        p.jump(self.refuse)
        p.place(answer)
        p.emit(Op.SHL, self.status, self.status, HEADER_BITS)
        p.emit(Op.OR, self.status, self.status, self.code)
        p.emit(Op.OUT, None, self.status, LAST)
        p.jump(self.next)

    def header(self) -> None:
        """The first word of a frame, into ``code`` and ``flags``."""
        p = self._p
        p.move(self.ended, 0)
        self.read()
        p.emit(Op.AND, self.code, self.value, (1 << HEADER_BITS) - 1)
        p.emit(Op.SHR, self.flags, self.value, HEADER_BITS)


def dispatch(p: Assembler, value: Register, cases: dict[int, Label]) -> None:
    """Go on at the label of a value; otherwise, with what follows."""
    for number, label in cases.items():
        p.branch((Op.BEQ, value, number), label)
