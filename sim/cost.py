"""What a decision costs: cycles and stalls of the core, from what golden knows (docs/architecture.md, "Cost")."""

from __future__ import annotations

import collections
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden import kernels
from golden.arguments import Observations
from golden.config import DeviceConfig
from golden.device import Device, Ints
from hdl.assign import uniform_activity
from hdl.decision import first_sampled_pass
from hdl.draws import draw_latency
from hdl.engine import engine_latency, scan_beats
from hdl.layouts import all_beats, hidden_beats
from hdl.maximum import maximum_latency
from hdl.memory import fetch_latency
from hdl.mover import Mover
from hdl.options import CoreOptions
from hdl.potentials import opening_latency
from hdl.sampler import Sampler
from hdl.softmax import SUM_LANES, queue_depth, softmax_latency
from sim.spike_cost import spike_bound, spike_ceiling


# --- bounds ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Latencies:
    """What a decision costs beside its row words, in cycles.

    Attributes
    ----------
    start: from the start of a decision to the first row word of the biases, that cycle left out.
    turn: between the last row word before a pass and the first that the pass can cause.
    end: from the last row word before the last pass to the end of the decision.
    spread: between the first and the last result of a pass, nothing in the way: so much later than ``turn`` says may
        the moves of a pass come.
    assign: from the last result of a pass to the last row word of the jump, row words apart.
    jump: from the last row word before the action group alone is scanned to the end of the decision.
    """

    start: int
    turn: int
    end: int
    spread: int
    assign: int
    jump: int


def latencies(config: DeviceConfig, options: CoreOptions) -> Latencies:
    """The latencies of a build.

    A group of b beats spends b - 1 cycles more in each of the first two stages of the softmax.
    """
    config, lanes = options.wide(config), options.softmax_lanes
    hidden, action = math.ceil(config.group_size / lanes), math.ceil(config.actions / lanes)
    # From the last row word to the first potentials in the softmax; the event was taken a cycle before the word.
    first_beat = engine_latency(config, options.banked) - 1
    softmax = softmax_latency(lanes)
    winner = Sampler.latency + 1
    first_result = first_beat + softmax + 2 * (hidden - 1)
    spread = all_beats(config, lanes) - 1 + 2 * max(0, action - hidden)
    return Latencies(
        start=1,
        turn=first_result + Mover.latency,
        end=first_result + spread + winner,
        spread=spread,
        # The winner of the last group; the pass; the beats; the last event and its word.
        assign=winner + hidden_beats(config, lanes) + Mover.latency,
        jump=first_beat + softmax + 3 * (action - 1) + winner,
    )


def bound(config: DeviceConfig, options: CoreOptions, row_words: int, passes: int, *, conditional: bool = False) -> int:
    """The fewest cycles in which a decision can be made: its row words and the latencies that nothing hides.

    Parameters
    ----------
    config, options: the build.
    row_words, passes: of the decision, as golden counts them (``row_words`` and ``iterations``) for the device as
        inference sees it (:meth:`hdl.options.CoreOptions.wide`).
    conditional: the decision's policy is the conditional one.
    """
    if config.spikes:
        return spike_bound(config, options, row_words)
    known = latencies(config, options)
    turns, end = (passes, known.jump) if conditional else (passes - 1, known.end)
    return known.start + options.wide(config).row_words + row_words + turns * known.turn + end


def ceiling(config: DeviceConfig, options: CoreOptions, row_words: int, passes: int, policy: str = "sample") -> int:
    """The most cycles that a decision can take: as if every pass made its moves with its last beat.

    Parameters
    ----------
    config, options, row_words, passes: as for :func:`bound`.
    policy: of the decision.
    """
    if config.spikes:
        return spike_ceiling(config, options, row_words, policy)
    known = latencies(config, options)
    conditional = policy == "conditional"
    cycles = bound(config, options, row_words, passes, conditional=conditional)
    cycles += (passes if conditional else passes - 1) * known.spread
    if conditional:
        cycles += known.assign
    if config.start == "uniform":
        cycles += all_beats(config, options.softmax_lanes)
    if policy != "greedy":
        cycles += draw_wait(config, options)
    return cycles


def draw_wait(config: DeviceConfig, options: CoreOptions) -> int:
    """The most cycles for which the first pass whose winners are drawn may wait for the random generator."""
    known = latencies(config, options)
    first_result = known.start + options.wide(config).row_words + first_sampled_pass(config) * known.turn - 1
    beats = math.ceil(config.group_size / options.softmax_lanes)
    return max(
        0,
        *(
            draw_latency(group, options.rounds_per_cycle) - first_result - group * beats
            for group in range(config.groups + 1)
        ),
    )


# --- what golden knows -------------------------------------------------------------------------------------
Moves = tuple[int, ...]
"""Neurons whose activity changes, per beat."""


@dataclass(frozen=True)
class Course:
    """What decides the time of a decision.

    Parameters
    ----------
    observations: events of step 1.
    passes: moves of each softmax pass, over all groups; all zero in one that finds a fixed point.
    start: moves of the uniform start, over all groups.
    jump: moves of the hidden groups to their winners.
    draws: winners are drawn, not the greedy ones.
    """

    observations: int
    passes: tuple[Moves, ...]
    start: Moves | None = None
    jump: Moves | None = None
    draws: bool = True


def courses(
    device: Device,
    options: CoreOptions,
    obs: Observations,
    nonce: NDArray[np.uint64],
    policy: str = "sample",
    given: Ints | None = None,
) -> list[Course]:
    """The courses of a batch of decisions.

    The activities after pass k are those of a device that makes at most k passes.

    Parameters
    ----------
    device: the golden device that would decide.
    options: of the build; its beats are counted.
    obs, nonce, policy, given: as in :meth:`golden.device.Device.infer`.

    Raises
    ------
    SvpgError: wrong shapes or values.
    """
    config, lanes = device.config, options.softmax_lanes
    result = device.infer(obs, nonce, policy, given)
    bounds = config.group_start
    uniform = [uniform_activity(config, int(size)) for size in np.diff(bounds)]
    first = np.repeat(uniform, np.diff(bounds)) * (config.start == "uniform")
    after = [np.broadcast_to(first, result.q_raw.shape)]
    for passes in range(1, int(result.iterations.max(initial=0)) + 1):
        shorter = Device(config.replace(iterations=passes))
        shorter.weight, shorter.bias = device.weight, device.bias
        after.append(shorter.infer(obs, nonce, "greedy").q_raw)
    one_hot = np.zeros_like(result.q_raw)
    np.put_along_axis(one_hot, result.winners[:, :-1] + bounds[:-2], 1 << config.activity_frac, axis=1)
    one_hot[:, config.hidden :] = result.q_raw[:, config.hidden :]

    beats = [beat.word * config.lanes + beat.offset for beat in scan_beats(config, lanes)]

    def per_beat(before: Ints, then: Ints) -> list[Moves]:
        """Moves of each row."""
        return [tuple(row) for row in np.add.reduceat((before != then).astype(np.int64), beats, axis=1).tolist()]

    moves = [per_beat(before, then) for before, then in itertools.pairwise(after)]
    starts = per_beat(np.zeros_like(after[0]), after[0])
    jumps = [row[: hidden_beats(config, lanes)] for row in per_beat(result.q_raw, one_hot)]
    observed = np.count_nonzero(obs, axis=1)
    return [
        Course(
            observations=int(observed[row]),
            passes=tuple(moves[number][row] for number in range(count)),
            start=starts[row] if config.start == "uniform" else None,
            jump=jumps[row] if policy == "conditional" else None,
            draws=policy != "greedy",
        )
        for row, count in enumerate(result.iterations.tolist())
    ]


# --- the clockwork: every stream and queue of hdl/decision.py, without the data -----------------------------
UNITS = {
    "biases": "a row word of the biases is fetched",
    "observations": "a row word of an observation is fetched",
    "moves": "a row word of a changed activity is fetched",
    "scan": "a beat of potentials enters the softmax",
    "terms": "a beat enters the stage of the terms",
    "activities": "a beat enters the stage of the activities",
    "mover": "a beat of activities is compared",
    "winners": "a winner is there",
}
"""Units whose work :class:`Cost` lists, and what they do in such a cycle."""


@dataclass
class Cost:
    """What a decision costs.

    Attributes
    ----------
    cycles, stalls: as the core counts them.
    busy: cycles, counted from the start, in which units work; see :data:`UNITS`.
    """

    cycles: int = 0
    stalls: int = 0
    busy: dict[str, list[int]] = field(default_factory=lambda: {unit: [] for unit in UNITS})


@functools.cache
def span_words(config: DeviceConfig) -> list[int]:
    """Row words of an event by the class of its source."""
    return [int(words) for words in kernels.constants(config).span_words]


class Event(NamedTuple):
    """An event on its way into the engine: whose it is, of :data:`UNITS`; its row words; whether it asks for a scan."""

    unit: str
    words: int
    asks: bool


class _Engine:
    """:class:`hdl.engine.EventEngine`: one event in work, and the scan that the last request opened."""

    def __init__(self, config: DeviceConfig, banked: bool, cost: Cost) -> None:
        self._cost = cost
        self._fetch = fetch_latency(banked)
        self._opening = opening_latency(config)
        self._left = 0
        self._unit = ""
        self._last_word = 0
        self.scan_from = 0

    @property
    def ready(self) -> bool:
        """Whether an event is taken."""
        return self._left <= 1

    def work(self, now: int) -> None:
        """A cycle of the event in work."""
        if self._left and self._unit:
            self._cost.busy[self._unit].append(now)
            self._last_word = now

    def step(self, now: int, offered: Event | None) -> None:
        """The end of a cycle: takes an event that is offered when ready."""
        is_ready = self.ready
        self._left = max(0, self._left - 1)
        if offered is None or not is_ready:
            return
        unit, words, asks = offered
        if words and self._last_word < now and unit != "biases":
            self._cost.stalls += 1
        self._left, self._unit = max(words, 1), unit if words else ""
        if asks:
            # Potentials are shown when the last word before has entered them, those of this event included.
            ends = now + self._left
            last_word = ends if words else self._last_word
            opens = max(ends, last_word + self._fetch + 1)
            # Three more registers: the words of potentials, those near the beat, the beat.
            self.scan_from = max(now + 2, opens + self._opening - 1) + 3


class _Softmax:
    """:class:`hdl.softmax.Softmax`: three stages, queues between; beats are told by whether they end a group."""

    def __init__(self, config: DeviceConfig, lanes: int, cost: Cost) -> None:
        self._cost = cost
        self._depth = queue_depth(config, lanes)
        self._to_maximum = maximum_latency(lanes) + 1
        self._to_reciprocal = 5 + (lanes > SUM_LANES)
        self._ends: list[bool] = []
        # Beats that have entered each stage and have left that of the terms.
        self._entered = self._termed = self._summed = self._left = 0
        self._maxima: list[int] = []
        self._reciprocals: list[int] = []
        self._termed_groups = self._left_groups = 0
        self._terms: list[bool] = [False] * 4
        self._out: list[bool] = [False] * 3
        self._out_ends: list[bool] = [False] * 3
        # The buffer behind: what is offered and what waits, each whether it ends a group.
        self._offer: bool | None = None
        self._waits: bool | None = None

    @property
    def valid(self) -> bool:
        """Whether a result is offered."""
        return self._offer is not None

    @property
    def last(self) -> bool:
        """Whether it is the last of a group."""
        return bool(self._offer)

    def step(self, now: int, is_taken: bool, offered: bool | None) -> bool:
        """A cycle: whether the result is taken; the beat that is offered, if any: whether it ends a group.

        Returns whether that is taken.
        """
        ready_count = self._summed - self._left
        accepts = self._entered - self._termed < self._depth
        is_given = self._out[-1] and self._waits is None
        given = self._out_ends[-1] if is_given else None
        if is_taken or not self.valid:
            self._offer, self._waits = given if self._waits is None else self._waits, None
        elif is_given:
            self._waits = given
        if is_given or not self._out[-1]:
            leaves = self._left_groups < len(self._reciprocals) and self._reciprocals[self._left_groups] <= now
            ends = leaves and self._ends[self._left]
            self._out, self._out_ends = [leaves, *self._out[:-1]], [ends, *self._out_ends[:-1]]
            self._left += leaves
            self._left_groups += ends
            if leaves:
                self._cost.busy["activities"].append(now)
        if not self._terms[-1] or ready_count < self._depth:
            takes = self._termed_groups < len(self._maxima) and self._maxima[self._termed_groups] <= now
            if self._terms[-1]:
                if self._ends[self._summed]:
                    self._reciprocals.append(now + self._to_reciprocal)
                self._summed += 1
            self._terms = [takes, *self._terms[:-1]]
            if takes:
                self._termed_groups += self._ends[self._termed]
                self._termed += 1
                self._cost.busy["terms"].append(now)
        if offered is None or not accepts:
            return False
        self._entered += 1
        self._ends.append(offered)
        if offered:
            self._maxima.append(now + self._to_maximum)
        self._cost.busy["scan"].append(now)
        return True


class _Mover:
    """:class:`hdl.mover.Mover`: the beat in work, and the request of a scan at the end of a pass."""

    def __init__(self, words: Sequence[int]) -> None:
        self._words = words
        self._moves: Moves = ()
        self._beat = self._pending = 0
        self._running = self._closing = self._quiet = self._asks = False
        self.finished = False

    def start(self, moves: Moves, *, quiet: bool, asks: bool) -> None:
        """Take a pass."""
        self._moves, self._quiet, self._asks = moves, quiet, asks
        self._beat, self._running = 0, True

    @property
    def offered(self) -> Event | None:
        """The event that is offered."""
        if self._pending:
            return Event("moves", self._words[self._beat - 1], False)
        return Event("moves", 0, True) if self._closing and self._asks else None

    def ready(self, engine: bool) -> bool:
        """Whether a beat is taken, given whether the engine takes an event."""
        return self._running and not self._closing and (not self._pending or (self._pending == 1 and engine))

    def step(self, engine: bool, is_given: bool) -> bool:
        """A cycle: whether the engine takes an event; whether a beat is offered. Returns whether that is taken."""
        takes = is_given and self.ready(engine)
        self.finished = self._closing and not self._pending and (not self._asks or engine)
        if self.finished:
            self._closing = self._running = False
        if self._pending and engine:
            self._pending -= 1
        if takes:
            moves = self._moves[self._beat]
            self._pending = moves if self._words[self._beat] and not self._quiet else 0
            self._beat += 1
            self._closing = self._beat == len(self._moves)
        return takes


class _Clockwork:
    """:class:`hdl.decision.Decision`: one decision, a cycle at a time."""

    def __init__(self, config: DeviceConfig, options: CoreOptions, course: Course) -> None:
        config = options.wide(config)
        self._config, self._options, self._course = config, options, course
        lanes = options.softmax_lanes
        words, hidden = span_words(config), hidden_beats(config, lanes)
        self._observation_words = words[kernels.OBSERVATION]
        self._ends = [beat.last for beat in scan_beats(config, lanes)]
        self._action_ends = self._ends[hidden:]
        self.cost = Cost()
        self._engine = _Engine(config, options.banked, self.cost)
        self._softmax = _Softmax(config, lanes, self.cost)
        self._mover = _Mover([words[kernels.HIDDEN]] * hidden + [words[kernels.ACTION]] * len(self._action_ends))
        self._now = 0
        # What the next request asks for, and the beats of a scan that have not entered the softmax.
        self._wanted: list[bool] = self._ends
        self._scan: collections.deque[bool] = collections.deque()
        self._next_beat = 0
        self._choice, self._chosen = 0, 0

    def run(self) -> Cost:
        """The whole decision."""
        config, course, mover = self._config, self._course, self._mover
        is_silent = course.start is None
        self._cycle(feed=Event("biases", config.row_words, is_silent and not course.observations))
        for left in reversed(range(course.observations)):
            while not self._cycle(feed=Event("observations", self._observation_words, is_silent and not left)):
                pass
        if course.start is not None:
            self._cycle()
            mover.start(course.start, quiet=False, asks=True)
            self._until_outcome(assigning=True)
        for number, moves in enumerate(course.passes, 1):
            is_last = number == config.iterations
            self._cycle()
            mover.start(moves, quiet=is_last and course.jump is None, asks=any(moves) and not is_last)
            self._until_outcome(passing=True, sampling=number >= first_sampled_pass(config))
        if course.jump is not None:
            self._until_drawn()
            mover.start(course.jump, quiet=False, asks=True)
            self._wanted = self._action_ends
            self._until_outcome(assigning=True)
            while not self._cycle(sampling=True):
                pass
        self._until_drawn()
        self.cost.cycles = self._now
        return self.cost

    def _until_outcome(self, *, passing: bool = False, sampling: bool = False, assigning: bool = False) -> None:
        """Cycles up to that in which the mover tells the end of a pass."""
        is_told = False
        while not is_told:
            is_told = self._mover.finished
            self._cycle(passing=passing, sampling=sampling, assigning=assigning)

    def _until_drawn(self) -> None:
        """Cycles up to the first after the last winner."""
        self._cycle()
        while self._now <= self._chosen + Sampler.latency:
            self._cycle()

    def _has_draw(self) -> bool:
        """Whether the choice of the next group is offered."""
        return not self._course.draws or self._now >= draw_latency(self._choice, self._options.rounds_per_cycle)

    def _cycle(
        self,
        *,
        feed: Event | None = None,
        passing: bool = False,
        sampling: bool = False,
        assigning: bool = False,
    ) -> bool:
        """One cycle. Returns whether the event of ``feed`` is taken or, without, the last result of a group."""
        self._now += 1
        now, engine, mover, softmax = self._now, self._engine, self._mover, self._softmax
        engine.work(now)
        event, engine_ready = feed or mover.offered, engine.ready
        is_consumed = (passing or sampling) and (
            softmax.valid and (not passing or mover.ready(engine_ready)) and (not sampling or self._has_draw())
        )
        is_end = is_consumed and softmax.last
        if is_end and sampling:
            self.cost.busy["winners"].append(now + Sampler.latency)
            self._choice, self._chosen = (self._choice + 1) % (self._config.groups + 1), now
        if mover.step(engine_ready, assigning or (passing and is_consumed)):
            self.cost.busy["mover"].append(now)
        beat = self._scan[0] if self._scan and now >= max(engine.scan_from, self._next_beat) else None
        if softmax.step(now, is_consumed, beat):
            self._scan.popleft()
            self._next_beat = now + 1
        engine.step(now, event)
        if event is not None and event.asks and engine_ready:
            self._scan.extend(self._wanted)
        return engine_ready if feed else is_end


def predict(config: DeviceConfig, options: CoreOptions, course: Course) -> Cost:
    """Cycles and stalls of a decision, exactly.

    Parameters
    ----------
    config, options: the build.
    course: of the decision, counted for the same ``options.softmax_lanes``.
    """
    return _Clockwork(config, options, course).run()
