"""Bench of :class:`hdl.results.Results`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
import numpy as np

from golden.protocol import (
    COUNTER_WORDS,
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_SPIKES,
    LAST,
    LEARN_COUNTERS,
    WORD_BITS,
    Command,
    Field,
    Ints,
    pack,
    response_fields,
)
from hdl.results import COUNT_WORDS, LEARN_COUNT_WORDS, Results
from sim.bench.codec import Codec
from sim.bench.designs import AllPorts
from sim.bench.groups import activity_beats, beats_of
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
RESULTS = Results(CONFIG, lanes=LANES)
COMPONENT = AllPorts(RESULTS)
BOUNDS = CONFIG.group_start.tolist()
SIZES = np.diff(CONFIG.group_start)

DECISION = (Command.INFER, 0)
WITH_ACTIVITY = (Command.INFER, FLAG_ACTIVITY)
SAMPLE = (Command.LEARN, FLAG_COUNTERS)
WITH_SPIKES = (Command.INFER, FLAG_SPIKES)
WITH_EVERYTHING = (Command.INFER, FLAG_ACTIVITY | FLAG_SPIKES)
KINDS = (DECISION, WITH_ACTIVITY, SAMPLE, *((WITH_SPIKES, WITH_EVERYTHING) if CONFIG.spikes else ()))
"""Commands and flags whose results are sent."""


def what(kind: tuple[Command, int]) -> dict[str, int]:
    """What is asked to be sent."""
    command, flags = kind
    learned = command == Command.LEARN
    wanted = {"activity": FLAG_ACTIVITY, "spikes": FLAG_SPIKES}
    return {**{name: int(not learned and bool(flags & flag)) for name, flag in wanted.items()}, "learned": int(learned)}


class Model:
    """Drives one device; golden packs the same results."""

    def __init__(self, dut: Any, **flows: Flow) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.winners = self.bench.source("winners", flows.get("winners"))
        self.probabilities = self.bench.source("probabilities", flows.get("probabilities"))
        self.sends = self.bench.source("sends", flows.get("sends"))
        self.words = self.bench.sink("words", flows.get("words"))
        self._activities: list[list[int]] = []
        self._peek = Codec(RESULTS.peek_data.shape())
        self.bench.each_cycle(self._peeked)
        if CONFIG.spikes:
            self._spikes: list[int] = []
            self._asked = 0
            self.bench.each_cycle(self._remembered, self._ask)

    def _peeked(self) -> None:
        """Stored activities, by an address that comes from flip-flops; anything beyond the last beat."""
        address = int(self.bench.dut.peek_address.value)
        stored = self._activities[address] if address < len(self._activities) else [0] * LANES
        self.bench.dut.peek_data.value = self._peek.pack(stored)

    def _remembered(self) -> None:
        """The spike at the address of the cycle before; anything beyond the last."""
        self.bench.dut.spike.value = self._spikes[self._asked] if self._asked < len(self._spikes) else 0

    def _ask(self, cycle: int) -> None:
        """Note the address."""
        self._asked = int(self.bench.dut.spike_address.value)

    def random(self, field: Field) -> Ints:
        """Any values of a field of the response, (1, count), often its ends; winners within their groups."""
        rng = self.bench.rng
        highs = [(1 << field.bits) - 1] * field.count
        if field.name in ("winners", "spikes"):
            highs = (SIZES - 1).tolist() * (field.count // len(SIZES))
        if field.name in ("q_raw", "prob_raw"):
            highs = [1 << field.bits - 1] * field.count
        return np.array([[rng.choice((0, int(high), rng.randint(0, int(high)))) for high in highs]], dtype=np.int64)

    async def store(self) -> dict[str, Ints]:
        """Random results, stored as they come in a decision: winners more than once, in any order; all by name."""
        bench, rng = self.bench, self.bench.rng
        fields = response_fields(CONFIG, *(WITH_EVERYTHING if CONFIG.spikes else WITH_ACTIVITY))
        values = {field.name: self.random(field) for field in fields}
        values |= {name: self.random(Field(name, 1, WORD_BITS * COUNTER_WORDS)) for name in LEARN_COUNTERS}
        order = rng.choices(range(CONFIG.groups + 1), k=3) + rng.sample(range(CONFIG.groups + 1), k=CONFIG.groups + 1)
        for number, group in enumerate(order):
            final = group not in order[number + 1 :]
            winner = int(values["winners"][0, group]) if final else rng.randrange(SIZES[group])
            self.winners.send({"group": group, "winner": winner})
        for last_pass in (False, True):
            found = values["prob_raw"] if last_pass else np.flip(values["prob_raw"])
            for number, beat in enumerate(beats_of(found[0].tolist(), LANES, fill=rng.randint(0, 1))):
                self.probabilities.send({"beat": number, "probability": beat})
        await bench.until(lambda: not (self.winners.pending or self.probabilities.pending))
        for group in range(CONFIG.groups + 1):
            bench.dut.group.value = group
            await bench.step()
            assert int(bench.dut.winner.value) == values["winners"][0, group]
        self._activities = [
            beat["activity"]
            for low, high in itertools.pairwise(BOUNDS)
            for beat in activity_beats(values["q_raw"][0, low:high].tolist(), LANES, rng.randint(0, 1))
        ]
        if CONFIG.spikes:
            self._spikes = values["spikes"][0].tolist()
        return values

    def send(self, values: dict[str, Ints], kind: tuple[Command, int]) -> int:
        """Queue the sending of results, and golden's words; gives their number."""
        fields = response_fields(CONFIG, *kind)
        words = [int(word) for word in pack(0, fields, values, 1)[0, 1:]]
        counts = Codec(RESULTS.counts.shape())
        count = LEARN_COUNT_WORDS if kind == SAMPLE else COUNT_WORDS
        unused = [self.bench.rng.getrandbits(WORD_BITS) for _ in range(LEARN_COUNT_WORDS - count)]
        self.bench.dut.counts.value = counts.pack([word & LAST - 1 for word in words[:count]] + unused)
        self.sends.send(what(kind))
        self.words.expect(*({"data": word & LAST - 1, "last": word // LAST} for word in words))
        return len(words)


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Words equal golden's, whatever the flow on any side."""
    names = ("winners", "probabilities", "sends", "words")
    for ragged in itertools.product((False, True), repeat=len(names)):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        model = Model(dut, **{name: own(is_ragged) for name, is_ragged in zip(names, ragged, strict=True)})
        await model.bench.reset()
        for _ in range(RUN["decisions"]):
            values = await model.store()
            kind = model.bench.rng.choice(KINDS)
            first = model.send(values, kind) + len(model.words.cycles)
            model.send(values, kind)
            await model.bench.finish(quiet=model.bench.rng.randrange(4))
            assert model.sends.cycles[-1] > model.words.cycles[first - 1], "started before the last word was taken"


@cocotb.test()
async def time(dut: Any) -> None:
    """The first word after the latency, then one in every cycle; sent again, a cycle after the last."""
    model = Model(dut)
    await model.bench.reset()
    for kind in KINDS:
        values = await model.store()
        first, starts = len(model.words.cycles), len(model.sends.cycles)
        for _ in range(3):
            count = model.send(values, kind)
        await model.bench.finish()
        sends = model.sends.cycles[starts:]
        # Taken behind the last word of the one before.
        assert sends == [sends[0] + number * (RESULTS.latency + count) for number in range(3)]
        words = [range(start + RESULTS.latency, start + RESULTS.latency + count) for start in sends]
        assert model.words.cycles[first:] == list(itertools.chain(*words))


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """A reset at any moment drops the words to come; what is stored stays."""
    model = Model(dut)
    await model.bench.reset()
    values = await model.store()
    words = model.send(values, KINDS[-1] if CONFIG.spikes else WITH_ACTIVITY)
    await model.bench.finish()
    for cycles in range(1, words + 4):
        model.sends.send(what(KINDS[-1] if CONFIG.spikes else WITH_ACTIVITY))
        with model.words.unchecked():
            await model.bench.step(cycles)
        model.sends.forget()
        await model.bench.reset()
        model.send(values, KINDS[cycles % len(KINDS)])
        await model.bench.finish()
