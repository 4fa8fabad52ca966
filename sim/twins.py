"""Golden and hardware as one device that learns: every answer and every memory compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.arguments import ACCUMULATORS, Apply, Observations, check_learn
from golden.client import FrameDevice, TimedInference
from golden.device import Device, Inference, Ints, Learning
from golden.errors import SvpgError
from golden.protocol import section_names
from sim.lesson import COUNTED, LearningCase, Learns, Lessons, memories_of
from sim.lockstep import first_difference
from sim.pool import Pool


class LearningDivergenceError(Exception):
    """Golden and hardware differ in what they learn; ``case`` says where."""

    def __init__(self, case: LearningCase) -> None:
        super().__init__(f"after {case.samples} samples: {', '.join(case.wrong) or case.fault}")
        self.case = case


def differing_memories(golden: Learns, hardware: Learns, sections: tuple[str, ...]) -> list[str]:
    """Memories that are not equal."""
    return [name for name in sections if not np.array_equal(golden.read(name), hardware.read(name))]


class Twins:
    """Golden and hardware with the same memories, as one device (:class:`host.backends.device.IntegerDevice`).

    Decisions are compared in every bit, samples in every counter, the accumulators before every update, all memories
    after it. What is answered is golden's.

    Parameters
    ----------
    golden: decides what is right.
    hardware: what is looked at.
    options: of the hardware, for the report.

    Attributes
    ----------
    samples, updates, decisions: transactions that were equal.
    cycles: of the samples; update_cycles: of the updates.
    sections: memories that the hardware has.
    """

    def __init__(self, golden: Device, hardware: FrameDevice | Pool, options: dict[str, Any] | None = None) -> None:
        self.golden, self.hardware = golden, hardware
        self.config = golden.config
        self.sections = section_names(hardware.sections)
        self._options = options or {}
        self.samples = self.updates = self.decisions = self.cycles = self.update_cycles = 0
        self._lessons: Lessons | None = None
        for section in self.sections:
            hardware.load(section, golden.read(section))
        self._before = memories_of(golden, self.sections)

    # --- one device ----------------------------------------------------------------------------------------
    def info(self) -> dict[str, int | str]:
        """Of golden."""
        return self.golden.info()

    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD`` into both."""
        self.golden.load(section, values, start)
        if section in self.sections:
            self.hardware.load(section, values, start)
        self._agree()

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ`` from golden, whose memories are those of the hardware."""
        return self.golden.read(section, start, count)

    def clear_learning(self) -> None:
        """``CLEAR`` on both."""
        self.golden.clear_learning()
        self.hardware.clear_learning()
        self._agree()

    def infer(
        self, obs: Observations, nonce: NDArray[np.uint64], policy: str = "sample", given: Ints | None = None
    ) -> Inference:
        """``INFER`` on both.

        Raises
        ------
        LearningDivergenceError: they differ.
        """
        expected = self.golden.infer(obs, nonce, policy, given)
        found: TimedInference = self._ask(lambda: self.hardware.infer(obs, nonce, policy, given, spikes=True), None)
        wrong = first_difference(expected, found)
        if wrong is not None:
            raise LearningDivergenceError(self._case(["decision"], None))
        self.decisions += len(obs)
        return expected

    def learn(
        self, obs: Observations, winners: Ints, modulator: Ints, rule: str, nonce: NDArray[np.uint64] | None = None
    ) -> Learning:
        """``LEARN`` on both.

        Raises
        ------
        LearningDivergenceError: their counters differ.
        """
        lessons = Lessons(*check_learn(self.config, obs, winners, modulator, rule, nonce), rule)
        self._lessons = lessons if self._lessons is None else self._lessons + lessons
        expected = lessons.on(self.golden)
        found = self._ask(lambda: lessons.on(self.hardware), None)
        wrong = [name for name in COUNTED if not np.array_equal(getattr(expected, name), getattr(found, name))]
        if wrong:
            raise LearningDivergenceError(self._case(wrong, None))
        self.samples += len(lessons)
        self.cycles += int(found.cycles.sum())
        return expected

    def apply(self, arguments: Apply) -> None:
        """``APPLY`` on both.

        Raises
        ------
        LearningDivergenceError: their accumulators differ before it, or any memory after it.
        """
        wrong = differing_memories(self.golden, self.hardware, ACCUMULATORS)
        if wrong:
            raise LearningDivergenceError(self._case(wrong, None))
        self.golden.apply(arguments)
        cycles = self._ask(lambda: self.hardware.apply(arguments), arguments)
        wrong = differing_memories(self.golden, self.hardware, self.sections)
        if wrong:
            raise LearningDivergenceError(self._case(wrong, arguments))
        self.updates += 1
        self.update_cycles += cycles
        self._agree()

    # --- what happens where they differ -----------------------------------------------------------------------
    def _agree(self) -> None:
        """Remember the memories."""
        self._lessons, self._before = None, memories_of(self.golden, self.sections)

    def _ask(self, work: Any, update: Apply | None) -> Any:
        try:
            return work()
        except SvpgError as error:
            raise LearningDivergenceError(self._case([], update, str(error))) from error

    def _case(self, wrong: list[str], update: Apply | None, fault: str = "") -> LearningCase:
        config, none = self.config, np.zeros(0, dtype=np.int64)
        empty = Lessons(
            none.reshape(0, config.inputs),
            none.reshape(0, config.groups + 1),
            none,
            none.astype(np.uint64),
            "published",
        )
        return LearningCase(
            config=config,
            options=self._options,
            memories=self._before,
            lessons=self._lessons or empty,
            update=update,
            samples=self.samples,
            updates=self.updates,
            wrong=wrong,
            fault=fault,
        )


@dataclass(frozen=True)
class Relearned:
    """What fresh hardware makes of a case.

    Parameters
    ----------
    sample: number of the first sample after which memories or counters differ, counted within the case; ``None`` if
        all samples are equal.
    golden, hardware: by name, the memories (flat) or counters that differ, after that sample, or after the update.
    fault: what the hardware does instead.
    """

    sample: int | None
    golden: dict[str, Ints]
    hardware: dict[str, Ints]
    fault: str

    @property
    def differs(self) -> bool:
        """Whether golden and hardware differ again."""
        return bool(self.golden or self.fault)


def relearn(case: LearningCase, hardware: Learns) -> Relearned:
    """Let fresh hardware learn the samples of a case one by one beside golden, then the update."""
    golden, sections = Device(case.config), tuple(case.memories)
    for section, values in case.memories.items():
        golden.load(section, values)
        hardware.load(section, values)

    def differs(number: int | None, names: tuple[str, ...]) -> Relearned | None:
        wrong = tuple(differing_memories(golden, hardware, names))
        if not wrong:
            return None
        return Relearned(number, memories_of(golden, wrong), memories_of(hardware, wrong), "")

    number: int | None = None
    try:
        for number in range(len(case.lessons)):
            lesson = case.lessons.rows(number, number + 1)
            expected, found = vars(lesson.on(golden)), vars(lesson.on(hardware))
            wrong = [name for name in COUNTED if not np.array_equal(expected[name], found[name])]
            if wrong:
                return Relearned(
                    number, {name: expected[name] for name in wrong}, {name: found[name] for name in wrong}, ""
                )
            if result := differs(number, ACCUMULATORS):
                return result
        number = None
        if case.update is not None:
            golden.apply(case.update)
            hardware.apply(case.update)
        return differs(None, sections) or Relearned(None, {}, {}, "")
    except SvpgError as error:
        return Relearned(number, {}, {}, str(error))
