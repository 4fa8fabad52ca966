"""Golden and hardware side by side: every transaction on both, every bit compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from golden.arguments import PARAMETERS
from golden.device import Device, Inference
from golden.errors import SvpgError
from sim.case import COMPARED, Answers, Case, Transactions, differing, row

KEPT_BEFORE = 8
"""Transactions before the one that differs that a report keeps, in case they matter."""


class Hardware(Answers, Protocol):
    """What is compared with golden; :class:`golden.client.FrameDevice` or a pool of them."""

    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD``."""


class DivergenceError(Exception):
    """Golden and hardware differ; ``case`` says where."""

    def __init__(self, case: Case) -> None:
        super().__init__(f"transaction {case.number}: {', '.join(differing(case.golden, case.hardware)) or case.fault}")
        self.case = case


def first_difference(golden: Inference, hardware: Inference) -> int | None:
    """The first row in which anything differs."""
    rows = len(golden.iterations)
    wrong = np.zeros(rows, dtype=bool)
    for name in COMPARED:
        wrong |= (getattr(golden, name) != getattr(hardware, name)).reshape(rows, -1).any(axis=1)
    return int(np.argmax(wrong)) if wrong.any() else None


class Lockstep:
    """Golden and hardware with the same parameters.

    Parameters
    ----------
    golden: decides what is right; its parameters are loaded into the hardware.
    hardware: what is looked at.
    fresh: makes another one like it, without parameters, to find out whether a fault comes back.
    options: of the hardware, for the report.

    Attributes
    ----------
    decisions: transactions that were equal.
    cycles, stalls, row_words: sums over them.
    """

    def __init__(
        self, golden: Device, hardware: Hardware, fresh: Callable[[], Hardware], options: dict[str, Any] | None = None
    ) -> None:
        self.golden, self.hardware = golden, hardware
        self._fresh, self._options = fresh, options or {}
        self.decisions = self.cycles = self.stalls = self.row_words = 0
        load_from(golden, hardware)

    def infer(self, transactions: Transactions) -> Inference:
        """Golden's answers to a batch, after they have been compared.

        Raises
        ------
        DivergenceError: the hardware answers otherwise, or not at all.
        """
        expected = transactions.on(self.golden)
        try:
            found = transactions.in_full(self.hardware)
        except SvpgError as error:
            raise DivergenceError(self._case_of_fault(transactions, expected, str(error))) from error
        wrong = first_difference(expected, found)
        if wrong is not None:
            self.decisions += wrong
            raise DivergenceError(self._case(transactions, wrong, self.decisions, expected, row(found, wrong), ""))
        self.decisions += len(transactions)
        self.cycles += int(found.cycles.sum())
        self.stalls += int(found.stalls.sum())
        self.row_words += int(found.row_words.sum())
        return expected

    def _case(
        self,
        transactions: Transactions,
        at: int,
        number: int,
        expected: Inference,
        found: Inference | None,
        fault: str,
    ) -> Case:
        shape = (self.golden.config.sources, self.golden.config.neurons)
        return Case(
            config=self.golden.config,
            options=self._options,
            weight=self.golden.read("weight").reshape(shape),
            bias=self.golden.read("bias"),
            transactions=transactions.rows(max(0, at - KEPT_BEFORE), at + 1),
            number=number,
            golden=row(expected, at),
            hardware=found,
            fault=fault,
        )

    def _case_of_fault(self, transactions: Transactions, expected: Inference, fault: str) -> Case:
        """Which transaction of a batch gets no answer, by running them one by one on fresh hardware."""
        at = len(transactions) - 1
        other = self._fresh()
        load_from(self.golden, other)
        for number in range(len(transactions)):
            try:
                transactions.rows(number, number + 1).in_full(other)
            except SvpgError as error:
                at, fault = number, str(error)
                break
        return self._case(transactions, at, self.decisions + at, expected, None, fault)


def load_from(golden: Device, hardware: Hardware) -> None:
    """Give hardware the parameters of golden."""
    for section in PARAMETERS:
        hardware.load(section, golden.read(section))


@dataclass(frozen=True)
class Replay:
    """What fresh hardware answers to a case.

    Parameters
    ----------
    fields: names of what differs from golden in the last transaction.
    answer: its answer, ``None`` if there is none.
    fault: what it did instead.
    """

    fields: list[str]
    answer: Inference | None
    fault: str

    @property
    def differs(self) -> bool:
        """Whether hardware and golden differ again."""
        return bool(self.fields or self.fault)


def replay(case: Case, hardware: Hardware, history: bool, before_last: Callable[[], object] = lambda: None) -> Replay:
    """Run a case on hardware that has run nothing yet.

    Parameters
    ----------
    history: run the transactions before it as well.
    before_last: called before the transaction that differed.
    """
    golden = Device(case.config)
    for section in PARAMETERS:
        golden.load(section, getattr(case, section))
    load_from(golden, hardware)
    transactions = case.transactions if history else case.last
    expected = transactions.on(golden)
    answer: Inference | None = None
    try:
        for number in range(len(transactions)):
            answer = None
            if number == len(transactions) - 1:
                before_last()
            answer = transactions.rows(number, number + 1).in_full(hardware)
    except SvpgError as error:
        return Replay([], None, str(error))
    assert answer is not None
    return Replay(differing(row(expected, len(transactions) - 1), answer), answer, "")
