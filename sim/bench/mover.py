"""Bench of :class:`hdl.mover.Mover`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np

from hdl.layouts import Scan
from hdl.mover import Mover
from sim.bench.codec import Codec
from sim.bench.groups import activity_beats
from sim.bench.recorded import Ints, empty, golden_moves
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow, Sink, Source

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
LEARNS = RUN["learns"]
COMPONENT = Mover(CONFIG, lanes=LANES, learns=LEARNS)
ONE = 1 << CONFIG.activity_frac
BOUNDS = CONFIG.group_start.tolist()


FLAGS = ("silent", "quiet", "second", "hidden_only", "always", *(("departs", "action_only") if LEARNS else ()))


def beats_of_groups(activity: Ints, first: int, end: int, fill: int) -> list[dict[str, Any]]:
    """The groups from ``first`` to before ``end``, one after the other, as beats."""
    bounds = itertools.pairwise(BOUNDS[first : end + 1])
    return [beat for low, high in bounds for beat in activity_beats(activity[low:high].tolist(), LANES, fill)]


def without_unused(event: dict[str, int]) -> dict[str, int]:
    """An event; if its value is 0, its source does not count."""
    return event if event["value"] else {**event, "source": 0}


@dataclass
class Turn:
    """What a pass must do by golden: moves of each beat that become events, and whether a scan is asked for."""

    moves: list[int]
    scans: bool


class Model:
    """Drives one mover; golden moves beside it."""

    def __init__(self, dut: Any, **flows: Flow) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.passes = self.bench.source("passes", flows.get("passes"))
        self.beats = self.bench.source("beats", flows.get("beats"))
        self.events = self.bench.sink("events", flows.get("events"), without_unused)
        self.outcomes = self.bench.sink("outcomes", flows.get("outcomes"))
        self.stored = empty(CONFIG)
        self.second = empty(CONFIG)
        # Of every beat: its pass, and the activities that it is compared with.
        self._before: list[tuple[int, list[int]]] = []
        self._fed = 0
        self._codec = Codec(COMPONENT.signature.members["before"].shape)
        self.bench.each_cycle(sample=self._look)

    def _look(self, cycle: int) -> None:
        """While a pass runs, the stored activities of the next beat are out, whether it is there yet or not."""
        taken, running = (len(stream.cycles) - (stream.cycles[-1:] == [cycle]) for stream in (self.beats, self.passes))
        if taken < len(self._before):
            number, before = self._before[taken]
            if number < running:
                found = self._codec.unpack(int(self.bench.dut.before.value))
                assert found[: len(before)] == before, (cycle, taken)

    def feed(self, fresh: Ints, **job: int) -> Turn:
        """Queue a pass to activities ``fresh`` (N,), its events and its outcome; ``job`` as in a pass, 0 unless told.

        The stored activities must be known, or the pass from silence.
        """
        turn = {name: job.get(name, 0) for name in (*FLAGS, "scan")}
        first = CONFIG.groups if turn.get("action_only") else 0
        end = CONFIG.groups + (not turn["hidden_only"])
        columns = slice(BOUNDS[first], BOUNDS[end])
        stays = turn["second"] and not turn.get("departs", 1)
        before = np.zeros_like(self.stored) if turn["silent"] else (self.second if stays else self.stored).copy()
        after = before.copy()
        after[columns] = fresh[columns]
        events = [] if turn["quiet"] else golden_moves(CONFIG, before.copy(), after.copy(), CONFIG.groups + 1)
        changed = bool((after != before).any())
        scans = turn["scan"] != Scan.NONE and (changed or bool(turn["always"]))
        self.passes.send(turn)
        beats = beats_of_groups(fresh, first, end, self.bench.rng.choice((0, 1, ONE)))
        self.beats.send(*beats)
        for beat in beats_of_groups(before, first, end, 0):
            self._before.append((self._fed, beat["activity"][: beat["keep"].bit_count()]))
        self._fed += 1
        self.events.expect(*({"source": source, "value": value, "scan": 0} for source, value in events))
        if scans:
            self.events.expect({"source": 0, "value": 0, "scan": turn["scan"]})
        self.outcomes.expect(int(changed))
        (self.second if turn["second"] else self.stored)[columns] = fresh[columns]
        sources, moves, low = [source for source, _ in events], [], columns.start
        for beat in beats:
            high = low + beat["keep"].bit_count()
            moves.append(sum(low <= source < high for source in sources))
            low = high
        return Turn(moves, scans)

    def fresh(self) -> Ints:
        """New activities: as they are, a few others, others by one, one-hot, the ends of the range, any."""
        rng, stored = self.bench.rng, self.stored
        kind = rng.randrange(7)
        fresh = stored.copy()
        if kind == 1:  # one neuron, often an end of the net or of a group
            fresh[rng.choice((0, -1, CONFIG.hidden - 1, CONFIG.hidden, rng.randrange(CONFIG.neurons)))] ^= ONE
        elif kind == 2:
            fresh[rng.sample(range(CONFIG.neurons), k=CONFIG.neurons // 3)] = rng.randint(0, ONE)
        elif kind == 3:
            fresh += [rng.choice((-1, 0, 1)) for _ in fresh]
        elif kind == 4:
            fresh[:] = 0
            fresh[[rng.randrange(low, high) for low, high in itertools.pairwise(BOUNDS)]] = ONE
        elif kind == 5:
            fresh[:] = [rng.choice((0, ONE)) for _ in fresh]
        elif kind == 6:
            fresh[:] = [rng.randint(0, ONE) for _ in fresh]
        return np.clip(fresh, 0, ONE)

    def feed_random(self) -> Turn:
        """Queue any pass."""
        rng = self.bench.rng
        flags = {name: int(rng.random() < 0.3) for name in FLAGS}
        if flags["hidden_only"] and LEARNS:
            flags["action_only"] = 0
        return self.feed(self.fresh(), scan=rng.choice(list(Scan)), **flags)

    async def start(self) -> None:
        """Reset, and activities that are known."""
        await self.bench.reset()
        self.feed(self.fresh(), silent=1)
        self.feed(self.fresh(), second=1, departs=1)

    async def finish(self) -> None:
        """Until all is done; then the stored activities are golden's."""
        await self.bench.finish()
        dut, width = self.bench.dut, CONFIG.activity.bits
        stores = {"peek_data": self.stored, **({"peek_second": self.second} if LEARNS else {})}
        for port, stored in stores.items():
            for address, beat in enumerate(beats_of_groups(stored, 0, CONFIG.groups + 1, 0)):
                dut.peek_address.value = address
                await self.bench.step()
                bits = int(getattr(dut, port).value)
                found = [bits >> width * lane & (1 << width) - 1 for lane in range(LANES)]
                kept = beat["keep"].bit_count()
                assert found[:kept] == beat["activity"][:kept], port


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Events, outcomes and stored activities, whatever the flow on any side."""
    names = ("passes", "beats", "events", "outcomes")
    for ragged in itertools.product((False, True), repeat=len(names)):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, **{name: own(is_ragged) for name, is_ragged in zip(names, ragged, strict=True)})
        await model.start()
        for _ in range(RUN["passes"]):
            model.feed_random()
            if model.bench.rng.random() < 0.2:
                await model.finish()
        await model.finish()


@cocotb.test()
async def every_kind_of_pass(dut: Any) -> None:
    """All flags and scans, with changes and without."""
    model = Model(dut)
    await model.start()
    for *values, scan, changes in itertools.product(*[(0, 1)] * len(FLAGS), Scan, (False, True)):
        flags = dict(zip(FLAGS, values, strict=True))
        if flags["hidden_only"] and flags.get("action_only"):
            continue
        stored = model.second if flags["second"] and not flags.get("departs", 1) else model.stored
        model.feed(model.fresh() if changes else stored.copy(), scan=scan, **flags)
    await model.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """Beats, events, the request of a scan and the outcome, each in its cycle."""
    model = Model(dut)
    await model.start()
    await model.finish()
    streams: tuple[Source | Sink, ...] = (model.passes, model.beats, model.events, model.outcomes)
    firsts = [len(stream.cycles) for stream in streams]
    turns = [model.feed_random() for _ in range(60)]
    await model.finish()
    now = model.passes.cycles[firsts[0]]
    passes: list[int] = []
    beats: list[int] = []
    events: list[int] = []
    outcomes: list[int] = []
    for turn in turns:
        passes.append(now)
        now += 1
        for moves in turn.moves:
            beats.append(now)
            events += range(now + COMPONENT.latency, now + COMPONENT.latency + moves)
            now += max(moves, 1)
        # Here the next beat would be taken.
        now = beats[-1] + COMPONENT.latency + turn.moves[-1]
        events += [now] if turn.scans else []
        outcomes.append(now + 1)
        now += 2
    for stream, first, cycles in zip(streams, firsts, (passes, beats, events, outcomes), strict=True):
        assert stream.cycles[first:] == cycles, stream.name


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """After a reset at any moment, a pass from silence is right, and those after it."""
    for cycles in range(1, RUN["resets"]):
        model = Model(dut)
        await model.start()
        model.feed(np.full(CONFIG.neurons, ONE), scan=Scan.ALL)
        with model.events.unchecked(), model.outcomes.unchecked():
            await model.bench.step(cycles)
        model = Model(dut)
        await model.start()
        model.feed_random()
        await model.finish()
