"""The mutation check of the core: do the frames of its bench notice a fault in any gate? (docs/results/mutation.md)

Every mutant (:mod:`sim.mutants`) goes through the course of the core's bench (:mod:`sim.bench.course`), the same frames
word by word, until an answer is not golden's.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.errors import SvpgError
from golden.protocol import (
    HARDWARE_COUNTERS,
    LAST,
    Command,
    Status,
    Words,
    parse_header,
    response_fields,
)
from golden.server import FrameServer
from hdl.core import Core
from sim.bench.course import Course, Step
from sim.bench.frames import Frame
from sim.model import End
from sim.mutants import PATIENCE, Mutant, MutantModel, compile_mutants, pick
from sim.netlist import flat_netlist

SLACK = 3
"""A step may take so many times the cycles it takes without a mutant."""

LONGER = 20
"""The course that looks at survivors once more is so many times as long, with other random numbers."""

TIME = "time"
"""What is wrong with a mutant that answers right, in another number of cycles."""

END_NAMES = {
    End.CUT: "no end",
    End.STUCK: "no answer",
    End.SURPLUS: "more answers",
    End.WITHDRAWN: "word withdrawn",
    End.CHANGED: "word changed",
}
"""What is wrong with a mutant that gives no answer to compare."""


CHANGES = "changes: "
"""How the note of a survivor begins that changes behaviour too seldom to be seen."""


@dataclass(frozen=True)
class Finding:
    """What notices a mutant.

    Parameters
    ----------
    part: of the course.
    wrong: in the answer: the name of a field, one of :data:`END_NAMES`, a hardware counter, or :data:`TIME`.
    """

    part: str
    wrong: str

    @property
    def is_time(self) -> bool:
        """Whether all values are right and only cycles differ."""
        return self.wrong in (TIME, *HARDWARE_COUNTERS)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Parameters
    ----------
    mutant: it.
    found: what noticed it; ``None``: nothing did.
    excited: whether its bit has ever differed from what it should be.
    longer: of a survivor: what noticed it in a longer course.
    note: of a survivor: why it survives, if somebody has found out; begins with :data:`CHANGES` if it changes
        behaviour all the same.
    """

    mutant: Mutant
    found: Finding | None
    excited: bool
    longer: Finding | None = None
    note: str = ""

    @property
    def changes(self) -> bool:
        """Whether it is known to change behaviour."""
        return bool(self.found or self.longer or self.note.startswith(CHANGES))


@dataclass(frozen=True)
class Trial:
    """A step and what has to come of it.

    Parameters
    ----------
    step: what is sent.
    sent: its words.
    seed: of its random times.
    words: of the responses.
    cycles: that it takes.
    """

    step: Step
    sent: Words
    seed: int
    words: Words
    cycles: int


def words_of(frames: Iterable[Frame]) -> Words:
    """Frames one after the other."""
    return np.array([word for frame in frames for word in frame], dtype=np.uint32)


def split_frames(words: Words) -> list[Words]:
    """Response words as frames."""
    return [part for part in np.split(words, np.flatnonzero(words & LAST) + 1) if part.size]


class Regression:
    """A course with the answers it must get: golden's, and cycles and stalls as without a mutant.

    Parameters
    ----------
    course: the device and what it is put through.
    folder: its model with mutants.

    Raises
    ------
    SvpgError: the model without a mutant does not answer as golden does.
    """

    def __init__(self, course: Course, folder: Path) -> None:
        self.course, self.folder = course, folder
        self.trials: list[Trial] = []
        server = FrameServer(course.config, course.options.softmax_lanes, course.options.abilities)
        model = MutantModel(folder, 0)
        for number, step in enumerate(course.everything()):
            trial = Trial(step, words_of(step.frames), number, np.zeros(0, np.uint32), 0)
            end, answer, spent = self._send(model, trial, 0)
            if step.cut is None:
                expected = server.exchange(trial.sent)
                if end != End.DONE or not self._agree(trial, answer, expected):
                    raise SvpgError(
                        "the core does not answer as golden does without any mutant; find out why with svpg lockstep"
                    )
                trial = dataclasses.replace(trial, words=answer, cycles=spent)
            self.trials.append(trial)

    def _agree(self, trial: Trial, answer: Words, expected: Words) -> bool:
        """Whether two streams of responses are equal but for what only hardware counts."""
        if len(answer) != len(expected):
            return False
        return bool(((answer == expected) | np.isin(self._fields(trial, expected), HARDWARE_COUNTERS)).all())

    def _fields(self, trial: Trial, responses: Words) -> list[str]:
        """What each word of the responses to a step is."""
        names = []
        for asked, frame in zip(trial.step.frames, split_frames(responses), strict=True):
            code, status = parse_header(int(frame[0]))
            names.append("header")
            if status == Status.OK:
                _, flags = parse_header(asked[0])
                for field in response_fields(self.course.config, Command(code), flags):
                    names += [field.name] * field.words
        return names

    @property
    def cycles(self) -> int:
        """Cycles of the whole course without a mutant, those before a reset apart."""
        return sum(trial.cycles for trial in self.trials)

    def run(self, number: int) -> tuple[Finding | None, bool]:
        """Run a mutant until a value is wrong.

        Returns
        -------
        What notices it first, wrong values before wrong times; and whether its bit has changed.
        """
        model = MutantModel(self.folder, number)
        late: Finding | None = None
        for trial in self.trials:
            if finding := self._try(model, trial):
                if not finding.is_time:
                    return finding, model.excited
                late = late or finding
        return late, model.excited

    def _send(self, model: MutantModel, trial: Trial, limit: int) -> tuple[End, Words, int]:
        """How a step ends, what is answered, and in how many cycles."""
        model.ragged, model.seed = trial.step.ragged, trial.seed
        before = model.cycles
        if trial.step.cut is not None:
            model.exchange_for(trial.sent, trial.step.cut)
            model.reset()
            return End.CUT, trial.words, trial.step.cut
        end, answer = model.attempt(trial.sent, len(trial.step.frames), limit)
        return end, answer, model.cycles - before

    def _try(self, model: MutantModel, trial: Trial) -> Finding | None:
        """What is wrong in a step."""
        part, right = trial.step.name, trial.words
        end, answer, spent = self._send(model, trial, SLACK * trial.cycles + PATIENCE)
        if trial.step.cut is not None:
            return None
        shared = min(len(answer), len(right))
        places = np.flatnonzero(answer[:shared] != right[:shared])
        wrong = ""
        if places.size:
            fields = self._fields(trial, right)
            names = [fields[place] for place in places.tolist()]
            wrong = next((name for name in names if name not in HARDWARE_COUNTERS), names[0])
        if end != End.DONE and (not wrong or wrong in HARDWARE_COUNTERS):
            wrong = END_NAMES[end]
        if not wrong and spent != trial.cycles:
            wrong = TIME
        return Finding(part, wrong) if wrong else None


def longer(course: Course) -> Course:
    """The same device put through more, with other random numbers."""
    return dataclasses.replace(
        course,
        decisions=LONGER * course.decisions,
        frames=LONGER * course.frames,
        resets=LONGER * course.resets,
        seed=course.seed + 1_000_000,
    )


@dataclass(frozen=True)
class Result:
    """What became of all mutants of a device.

    Parameters
    ----------
    outcomes: of each mutant.
    netlist: digest of the netlist they are of.
    cycles: of the course; longer_cycles: of the one that survivors went through as well, 0 if there were none.
    """

    outcomes: list[Outcome]
    netlist: str
    cycles: int
    longer_cycles: int

    @property
    def killed(self) -> list[Outcome]:
        """Those that the course noticed."""
        return [outcome for outcome in self.outcomes if outcome.found]

    @property
    def missed(self) -> list[Outcome]:
        """Those that the course did not notice although they change behaviour."""
        return [outcome for outcome in self.outcomes if not outcome.found and outcome.changes]

    @property
    def silent(self) -> list[Outcome]:
        """Those that change nothing, as far as is known."""
        return [outcome for outcome in self.outcomes if not outcome.changes]

    @property
    def rate(self) -> float:
        """Share that the course noticed of those that are known to change behaviour."""
        return len(self.killed) / max(len(self.killed) + len(self.missed), 1)


def explained(result: Result, notes: Mapping[str, str]) -> Result:
    """A result with the notes on its survivors, by :attr:`sim.mutants.Mutant.key`."""
    outcomes = [
        outcome if outcome.found else dataclasses.replace(outcome, note=notes.get(outcome.mutant.key, ""))
        for outcome in result.outcomes
    ]
    return dataclasses.replace(result, outcomes=outcomes)


def check(course: Course, count: int, seed: int, progress: Callable[[], object] = lambda: None) -> Result:
    """Try mutants on a course, the survivors on a longer one as well.

    Parameters
    ----------
    course: the device and what it is put through.
    count: of mutants.
    seed: of their choice.
    progress: called after every mutant.

    Raises
    ------
    SvpgError: a tool is missing, the core has too few places for so many mutants, or it is faulty without them.
    """
    netlist = flat_netlist(Core(course.config, course.options))
    mutants = pick(netlist, count, random.Random(seed))
    folder = compile_mutants(netlist, mutants)
    regression = Regression(course, folder)
    more: Regression | None = None
    outcomes = []
    for number, mutant in enumerate(mutants, 1):
        found, excited = regression.run(number)
        late = None
        if found is None:
            more = more or Regression(longer(course), folder)
            late, more_excited = more.run(number)
            excited |= more_excited
        outcomes.append(Outcome(mutant, found, excited, late))
        progress()
    return Result(outcomes, netlist.digest, regression.cycles, more.cycles if more else 0)
