"""Bench of :class:`hdl.eligibility.Eligibility` with the accumulators."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from golden.arguments import RULES, Observations
from golden.kernels import constants, divided
from golden.plasticity import accumulate_sample
from golden.server import existing_synapses
from hdl.layouts import all_beats
from hdl.memory import row_addresses
from sim.bench.codec import Codec
from sim.bench.groups import activity_beats
from sim.bench.learning_designs import EligibilityWithMemory
from sim.bench.run import parameters
from sim.bench.streams import Bench

RUN = parameters()
CONFIG, LANES = RUN["config"], RUN["lanes"]
COMPONENT = EligibilityWithMemory(CONFIG, lanes=LANES, products=RUN["products"], rules=frozenset(RUN["rules"]))
ACTIVITIES = Codec(COMPONENT.signature.members["peek_activity"].shape)
ONE = 1 << CONFIG.activity_frac
EXISTS = existing_synapses(CONFIG)
Ints = NDArray[np.int64]


@dataclass
class Sample:
    """What a sample has become when its eligibility begins.

    Parameters
    ----------
    rule: key of :data:`golden.arguments.RULES`.
    q, second: activities of the free phase, and the second ones (N,).
    winners: (G+1,); obs: (S,); modulator: raw.
    more: another time step of the sample before; spike mode only.
    """

    rule: str
    q: Ints
    second: Ints
    winners: Ints
    obs: Observations
    modulator: int
    more: bool = False

    @property
    def factors(self) -> tuple[Ints, Ints, Ints]:
        """Golden's trace, cross and change."""
        hot = np.zeros(CONFIG.neurons, dtype=np.int64)
        hot[CONFIG.group_start[:-1] + self.winners] = ONE
        if self.rule == "contrastive":
            return self.second, self.second, self.second - self.q
        hidden = np.arange(CONFIG.neurons) < CONFIG.hidden
        if self.rule == "published":
            return self.q, self.q, hot - (self.second if CONFIG.spikes else self.q)
        trace = np.where(hidden, self.q, self.second)
        return trace, np.where(hidden, hot, self.q), hot - trace


def start(rule: str, modulator: int, more: bool = False) -> dict[str, int]:
    """What begins a sample, or another step of one."""
    return {"rule": RULES[rule], "modulator": modulator, **({"more": int(more)} if CONFIG.spikes else {})}


class Model:
    """Accumulators as golden has them; drives one device."""

    def __init__(self, dut: Any, ragged: bool = False) -> None:
        self.dut = dut
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.rng = np.random.default_rng(self.bench.rng.getrandbits(32))
        self.starts = self.bench.source("starts")
        self.observations = self.bench.source("observations", self.bench.flow(ragged))
        self.load, self.fetches = self.bench.source("acc_load"), self.bench.source("acc_fetches")
        self.fetched = self.bench.sink("acc_fetched")
        self.acc = np.zeros((CONFIG.sources, CONFIG.neurons), dtype=np.int64)
        self.acc_bias = np.zeros((1, CONFIG.neurons), dtype=np.int64)
        self.constants = constants(CONFIG)
        self.done: list[tuple[int, int]] = []
        self.queue: list[dict[str, Any]] = []
        self.beats: list[list[int]] = [[0, 0]]
        self.winners = [0] * (CONFIG.groups + 1)
        self.bench.each_cycle(self.drive, self.look)

    def drive(self) -> None:
        """What the component looks up, in the same cycle."""
        address = int(self.dut.peek_address.value)
        self.dut.peek_activity.value, self.dut.peek_second.value = self.beats[min(address, len(self.beats) - 1)]
        # After the last group it may point anywhere.
        self.dut.winner.value = self.winners[min(int(self.dut.winner_group.value), CONFIG.groups)]
        self.dut.no_observations.value = int(not self.queue)

    def look(self, cycle: int) -> None:
        """A rewind offers the observations; the end of a sample."""
        if self.dut.rewind.value == 1:
            self.observations.send(*self.queue)
        if self.dut.done.value == 1:
            self.done.append((cycle, int(self.dut.word_count.value)))

    async def fill(self) -> None:
        """Random accumulators, often at the ends of their format."""
        number_format = CONFIG.accumulator
        low, high, shape = number_format.low, number_format.high, EXISTS.shape
        values = self.rng.integers(low, high, shape, endpoint=True) >> self.rng.integers(0, number_format.bits, shape)
        values = np.where(self.rng.random(shape) < 0.3, self.rng.choice([low, high], shape), values) * EXISTS
        for row, word in itertools.product(range(CONFIG.sources + 1), range(CONFIG.row_words)):
            self.load.send({"row": row, "word": word, "values": values[row, word].tolist()})
        flat = values.reshape(CONFIG.sources + 1, -1)[:, : CONFIG.neurons]
        self.acc[:], self.acc_bias[:] = flat[:-1], flat[-1:]
        await self.bench.finish(3)

    def sample(self, **given: Any) -> Sample:
        """Any sample; groups are silent, one-hot or anything, and often as they were before."""
        rng = self.rng

        def activities() -> Ints:
            values = rng.integers(0, ONE, CONFIG.neurons, endpoint=True)
            values[rng.random(CONFIG.neurons) < rng.choice([0.0, 0.6, 1.0])] = 0
            values[rng.random(CONFIG.neurons) < rng.choice([0.0, 0.2])] = ONE
            return values

        q = activities()
        obs = rng.integers(CONFIG.obs.low, CONFIG.obs.high, CONFIG.inputs, endpoint=True)
        obs[rng.random(CONFIG.inputs) < rng.choice([0.0, 0.5, 1.0])] = 0
        extreme = CONFIG.modulator.high
        return Sample(
            **{
                "rule": str(rng.choice(RUN["rules"])),
                "q": q,
                "second": np.where(rng.random(CONFIG.neurons) < rng.choice([0.0, 0.5, 0.95]), q, activities()),
                "winners": rng.integers(0, np.diff(CONFIG.group_start)),
                "obs": obs,
                "modulator": int(rng.choice([extreme, -extreme, rng.integers(-extreme, extreme, endpoint=True)])),
                "more": CONFIG.spikes and bool(self.done) and rng.random() < 0.5,
                **given,
            }
        )

    async def learn(self, sample: Sample) -> int:
        """Let device and golden learn; gives the cycles from the start to the end."""
        beats = []
        for low, high in itertools.pairwise(CONFIG.group_start.tolist()):
            pairs = zip(
                *(activity_beats(values[low:high].tolist(), LANES) for values in (sample.q, sample.second)), strict=True
            )
            beats += [[ACTIVITIES.pack(beat["activity"]) for beat in pair] for pair in pairs]
        assert len(beats) == all_beats(CONFIG, LANES)
        self.beats, self.winners = beats, sample.winners.tolist()
        there = np.flatnonzero(sample.obs).tolist()
        self.queue = [
            {"entry": {"index": index, "value": int(sample.obs[index])}, "last": int(index == there[-1])}
            for index in there
        ]
        trace, cross, change = sample.factors
        n = CONFIG.neurons
        words = accumulate_sample(
            # In spike mode the published rule takes the mean over a window.
            divided(self.constants, self.constants.window_bits)
            if CONFIG.spikes and sample.rule == "published"
            else self.constants,
            self.acc,
            self.acc_bias,
            sample.obs,
            np.int64(sample.modulator),
            2 if sample.rule == "contrastive" else 1,
            sample.q,
            trace,
            cross,
            change,
            np.empty(n, dtype=np.int64),
            np.empty(CONFIG.groups + 2, dtype=np.int64),
            True,
            False,
        )
        before = len(self.done)
        words += self.done[-1][1] if sample.more else 0
        self.starts.send(start(sample.rule, sample.modulator, sample.more))
        await self.bench.until(lambda: len(self.done) > before)
        assert self.done[-1][1] == words, "row words touched"
        return self.done[-1][0] - self.starts.cycles[-1]

    async def check(self) -> None:
        """Compare all accumulators with golden's."""
        await self.bench.step(3)
        image = np.zeros((CONFIG.sources + 1, CONFIG.row_words * CONFIG.lanes), dtype=np.int64)
        image[:-1, : CONFIG.neurons], image[-1, : CONFIG.neurons] = self.acc, self.acc_bias[0]
        words = image.reshape(-1, CONFIG.lanes).tolist()
        assert len(words) == len(row_addresses(CONFIG))
        for address, values in enumerate(words):
            self.fetches.send(address)
            self.fetched.expect(values)
        await self.bench.finish(1)


@cocotb.test()
async def samples_equal_golden(dut: Any) -> None:
    """Any samples on any accumulators, whatever the flow of the observations; checked after every few."""
    for ragged in (False, True):
        model = Model(dut, ragged)
        await model.bench.reset()
        for _ in range(RUN["rounds"]):
            await model.fill()
            for _ in range(6):
                await model.learn(model.sample())
            await model.check()


@cocotb.test()
async def nothing_to_learn_costs_little(dut: Any) -> None:
    """Without a modulator a sample is done in the next cycle; without a change, after its neurons were looked at."""
    model = Model(dut)
    await model.bench.reset()
    await model.fill()
    assert await model.learn(model.sample(modulator=0)) == 1
    same = model.sample()
    assert await model.learn(model.sample(modulator=0)) == 1
    if "contrastive" in RUN["rules"]:
        still = model.sample(rule="contrastive", q=same.q, second=same.q, modulator=5, more=False)
        looked = sum(max(1, count) for count in active_in_beats(still.q))
        assert await model.learn(still) == looked + COMPONENT.eligibility.overhead
        assert model.done[-1][1] == 0
    await model.check()


def active_in_beats(q: Ints) -> list[int]:
    """How many neurons of each beat are active."""
    groups = itertools.pairwise(CONFIG.group_start.tolist())
    return [int((q[at : min(at + LANES, high)] != 0).sum()) for low, high in groups for at in range(low, high, LANES)]


@cocotb.test()
async def one_word_per_cycle(dut: Any) -> None:
    """A dense sample takes its words, once or twice by the products, and what the walks and the pipeline add."""
    model = Model(dut)
    await model.bench.reset()
    await model.fill()
    everything = np.full(CONFIG.neurons, ONE // 2, dtype=np.int64)
    sample = model.sample(
        more=False,
        rule=RUN["rules"][-1],
        q=everything,
        second=everything - 1,
        modulator=9,
        obs=np.ones(CONFIG.inputs, dtype=int),
    )
    cycles = await model.learn(sample)
    words = model.done[-1][1]
    walk = sum(active_in_beats(everything))
    recurrent = words - CONFIG.inputs * words_of_observations()
    issued = words + (recurrent if RUN["products"] == 1 else 0) + CONFIG.row_words
    assert 0 <= cycles - (walk + issued) <= 16 + 2 * all_beats(CONFIG, LANES)
    await model.check()


def words_of_observations() -> int:
    """Words of an observation's row that hold a synapse."""
    return int(EXISTS[CONFIG.neurons].any(axis=1).sum())


@cocotb.test()
async def a_reset_ends_what_is_at_work(dut: Any) -> None:
    """After a reset at any moment, samples on freshly loaded accumulators are learned as ever."""
    for cycles in range(1, 60, 7):
        model = Model(dut)
        await model.bench.reset()
        await model.bench.step(CONFIG.row_words + 4)
        model.starts.send(start(RUN["rules"][0], 100))
        model.beats = [[ACTIVITIES.pack([ONE] * LANES), 0]]
        await model.bench.step(cycles)
        model = Model(dut)
        await model.bench.reset()
        await model.fill()
        await model.learn(model.sample())
        await model.check()
