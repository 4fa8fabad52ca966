"""The golden model against the independent oracle: equal in every bit, over configurations and histories."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from golden.arguments import OPTIMISERS, POLICIES, RULES, SECTIONS, Apply
from golden.config import CONTRACT_VERSION, REMOVABLE, STARTS, DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.fixed import LOG2E, Format
from golden.start import random_start
from golden.tables import exp2_table, reciprocal_table
from tests import oracle
from tests.oracle import Oracle

MODEST = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
STYLES = ("zero", "small", "wide", "extreme")
"""How memories are filled: nothing, near the origin, the whole format, the two ends of the format."""


@st.composite
def configs(draw: st.DrawFn) -> DeviceConfig:
    """Devices of every pattern and start, with odd widths; observation and activity finer than each other both ways."""

    def pick(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    activity_frac, obs_frac, modulator_frac = pick(4, 14), pick(0, 14), pick(0, 10)
    acc_frac = pick(4, min(24, 2 * activity_frac + modulator_frac, obs_frac + activity_frac + modulator_frac))
    return DeviceConfig(
        inputs=draw(st.one_of(st.integers(1, 12), st.integers(13, 100))),
        groups=pick(1, 4),
        group_size=pick(2, 16),
        actions=pick(2, 18),
        removed=draw(st.sampled_from(sorted(REMOVABLE))),
        iterations=pick(1, 5),
        clamp_iterations=pick(1, 4),
        start=draw(st.sampled_from(STARTS)),
        weight_bits=pick(4, 24),
        weight_frac=pick(0, 20),
        obs_bits=pick(2, 18),
        obs_frac=obs_frac,
        activity_frac=activity_frac,
        prob_frac=pick(8, 16),
        exp_index_bits=pick(4, 10),
        modulator_bits=pick(4, 18),
        modulator_frac=modulator_frac,
        acc_bits=pick(8, 48),
        acc_frac=acc_frac,
        grad_bits=pick(8, 24),
        moment_bits=pick(8, 32),
        moment_frac=pick(8, min(32, 2 * acc_frac)),
        lanes=draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 64, 1024]))),
    )


def fill(number_format: Format, size: int | tuple[int, ...], style: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Raw integers of a format in one of :data:`STYLES`, a third of them zero."""
    low, high = number_format.low, number_format.high
    if style == "zero":
        return np.zeros(size, dtype=np.int64)
    if style == "small":
        values = rng.integers(max(low, -16), min(high, 16), size, endpoint=True)
    elif style == "wide":
        values = rng.integers(low, high, size, endpoint=True)
    else:
        values = rng.choice([low, low + 1, high], size)
    return np.where(rng.random(size) < 0.33, 0, values)


def fill_matrix(
    config: DeviceConfig, number_format: Format, style: str, rng: np.random.Generator, symmetric: bool = True
) -> NDArray[np.int64]:
    """:func:`fill` for a (P, N) memory: zero where no synapse is, the recurrent rows symmetric unless told."""
    n = config.neurons
    values = fill(number_format, (config.sources, n), style, rng)
    if symmetric:
        values[:n] = np.triu(values[:n], 1) + np.triu(values[:n], 1).T
    return np.where(config.mask, values, 0)


class Pair:
    """A golden device and an oracle that receive the same transactions."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.golden = Device(config)
        self.oracle = Oracle(config)

    def load(self, section: str, values: NDArray[np.int64], start: int = 0) -> None:
        self.golden.load(section, values, start)
        self.oracle.load(section, [int(v) for v in values.ravel()], start)

    def load_random(
        self, memory: str, style: str, rng: np.random.Generator, symmetric: bool = True, pieces: int = 1
    ) -> None:
        """A (P, N) memory and the biases that go with it, in one or several LOADs each."""
        number_format = self.golden.section_format(memory)
        values = {
            memory: fill_matrix(self.config, number_format, style, rng, symmetric).ravel(),
            "bias" if memory == "weight" else f"{memory}_bias": fill(number_format, self.config.neurons, style, rng),
        }
        for section, raw in values.items():
            cuts = sorted(rng.integers(0, raw.size, pieces - 1, endpoint=True))
            for start, stop in itertools.pairwise([0, *cuts, raw.size]):
                self.load(section, raw[start:stop], int(start))

    def infer(self, obs: NDArray[np.int64], nonce: NDArray[np.uint64], policy: str, given: Any) -> NDArray[np.int64]:
        """Compares every field of the response; returns the winners."""
        result = self.golden.infer(obs, nonce, policy, given)
        for b, row in enumerate(obs.tolist()):
            if self.config.spikes:
                expected = self.oracle.infer_spikes(row, int(nonce[b]), policy)
            else:
                expected = self.oracle.infer(row, int(nonce[b]), policy, None if given is None else given[b].tolist())
            assert {
                "winners": result.winners[b].tolist(),
                "prob": result.prob_raw[b].tolist(),
                "q": result.q_raw[b].tolist(),
                "iterations": result.iterations[b],
                "events": result.events[b],
                "row_words": result.row_words[b],
                "spikes": result.spikes[b].tolist(),
            } == dataclasses.asdict(expected)
        return result.winners

    def learn(
        self,
        obs: NDArray[np.int64],
        winners: NDArray[np.int64],
        modulator: NDArray[np.int64],
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
    ) -> None:
        counters = self.golden.learn(obs, winners, modulator, rule, nonce)
        for b, row in enumerate(obs.tolist()):
            if nonce is None:
                expected = self.oracle.learn(row, winners[b].tolist(), int(modulator[b]), rule)
            else:
                action = int(winners[b, -1])
                expected = self.oracle.learn_spikes(row, action, int(modulator[b]), rule, int(nonce[b]))
            assert {name: values[b] for name, values in vars(counters).items()} == dataclasses.asdict(expected)

    def apply(self, arguments: Apply) -> None:
        self.golden.apply(arguments)
        self.oracle.apply(**dataclasses.asdict(arguments))

    def assert_same_memories(self) -> None:
        for section in SECTIONS:
            assert self.golden.read(section).tolist() == self.oracle.read(section), section


def random_winners(config: DeviceConfig, batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Winners of every group, int64 (B, G+1)."""
    return rng.integers(0, np.diff(config.group_start), (batch, config.groups + 1))


def random_apply(config: DeviceConfig, optimiser: str, rng: np.random.Generator) -> Apply:
    """Arguments over the whole range that APPLY accepts, half of them near the usual ones."""
    highest = config.weight_frac if optimiser == "sign" else 20
    wild = rng.random() < 0.5
    return Apply(
        optimiser,
        mean_shift=int(rng.integers(0, 20 if wild else 4, endpoint=True)),
        rate=int(rng.integers(-4, min(highest, 20 if wild else 2), endpoint=True)),
        obs_rate=int(rng.integers(-4, min(highest, 20 if wild else 2), endpoint=True)),
        decay=int(rng.integers(0, 15 if wild else 7, endpoint=True)),
        floor=int(rng.integers(0, config.moment_frac, endpoint=True)),
        grid=int(rng.integers(0, config.acc_frac, endpoint=True)),
    )


@MODEST
@given(
    config=configs(),
    policy=st.sampled_from(sorted(POLICIES)),
    parameters=st.sampled_from(STYLES),
    observations=st.sampled_from(STYLES),
    fix_hidden=st.booleans(),
    symmetric=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_infer(
    config: DeviceConfig,
    policy: str,
    parameters: str,
    observations: str,
    fix_hidden: bool,
    symmetric: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(config)
    pair.load_random("weight", parameters, rng, symmetric)
    obs = fill(config.obs, (2, config.inputs), observations, rng)
    nonce = rng.integers(0, 2**64, 2, dtype=np.uint64)
    given_winners = random_winners(config, 2, rng) if fix_hidden and policy == "conditional" else None
    winners = pair.infer(obs, nonce, policy, given_winners)
    if given_winners is not None:
        assert np.array_equal(winners[:, :-1], given_winners[:, :-1])
    pair.assert_same_memories()


@MODEST
@given(
    config=configs(),
    rule=st.sampled_from(sorted(RULES)),
    parameters=st.sampled_from(STYLES),
    accumulators=st.sampled_from(STYLES),
    modulators=st.sampled_from(STYLES),
    symmetric=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_learn(
    config: DeviceConfig, rule: str, parameters: str, accumulators: str, modulators: str, symmetric: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(config)
    pair.load_random("weight", parameters, rng, symmetric)
    pair.load_random("acc", accumulators, rng, symmetric)
    obs = fill(config.obs, (2, config.inputs), "wide", rng)
    pair.learn(obs, random_winners(config, 2, rng), fill(config.modulator, 2, modulators, rng), rule)
    pair.assert_same_memories()


@MODEST
@given(
    config=configs(),
    optimiser=st.sampled_from(sorted(OPTIMISERS)),
    style=st.sampled_from(STYLES),
    symmetric=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_apply(config: DeviceConfig, optimiser: str, style: str, symmetric: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(config)
    for memory in ("weight", "acc", "moment"):
        pair.load_random(memory, style, rng, symmetric)
    pair.apply(random_apply(config, optimiser, rng))
    pair.assert_same_memories()


@settings(MODEST, max_examples=40)
@given(
    config=configs(),
    transactions=st.lists(
        st.tuples(st.sampled_from(["load", "infer", "learn", "learn", "apply"]), st.integers(0, 2**32 - 1)),
        min_size=2,
        max_size=7,
    ),
)
def test_a_history_of_transactions_leaves_equal_memories_after_each(
    config: DeviceConfig, transactions: list[tuple[str, int]]
) -> None:
    pair = Pair(config)
    pair.load_random("weight", "wide", np.random.default_rng(transactions[0][1]))
    for kind, seed in transactions:
        rng = np.random.default_rng(seed)
        batch = int(rng.integers(1, 3))
        obs = fill(config.obs, (batch, config.inputs), str(rng.choice(STYLES)), rng)
        if kind == "load":
            memory, style = str(rng.choice(["weight", "acc", "moment"])), str(rng.choice(STYLES))
            pair.load_random(memory, style, rng, rng.random() < 0.7, pieces=int(rng.integers(1, 4)))
        elif kind == "infer":
            nonce = rng.integers(0, 2**64, batch, dtype=np.uint64)
            pair.infer(obs, nonce, str(rng.choice(sorted(POLICIES))), None)
        elif kind == "learn":
            modulator = fill(config.modulator, batch, str(rng.choice(STYLES)), rng)
            pair.learn(obs, random_winners(config, batch, rng), modulator, str(rng.choice(sorted(RULES))))
        else:
            pair.apply(random_apply(config, str(rng.choice(sorted(OPTIMISERS))), rng))
        event(kind)
        pair.assert_same_memories()


@pytest.mark.parametrize("removed", sorted(REMOVABLE))
@pytest.mark.parametrize("groups", [1, 3])
def test_connections_spans_and_widths_follow_from_the_text(removed: str, groups: int) -> None:
    config = DeviceConfig(inputs=5, groups=groups, group_size=3, actions=4, removed=removed, lanes=2)
    expected = Oracle(config)
    assert config.mask.tolist() == expected.exists
    first_of_class = (0, config.hidden, config.neurons)
    for kind, row in enumerate(first_of_class):
        low, high = config.spans[kind]
        assert list(range(low, high)) == list(range(*expected.span(row)))


@MODEST
@given(config=configs())
def test_potential_width_and_digest_follow_from_the_text(config: DeviceConfig) -> None:
    assert config.potential_bits == Oracle(config).potential_bits
    assert config.digest == Oracle(config).digest(CONTRACT_VERSION)


def test_configurations_whose_depths_would_not_fit_are_refused() -> None:
    """With fewer fraction bits than the table has index bits, a depth is shifted left and must still fit."""
    wide = {"groups": 1, "group_size": 2, "actions": 2, "weight_bits": 24, "weight_frac": 0, "obs_bits": 18}
    fine = {"obs_frac": 0, "activity_frac": 4, "exp_index_bits": 11, "acc_frac": 8, "moment_frac": 8}
    with pytest.raises(SvpgError, match="potentials would need 63 bits"):
        DeviceConfig(inputs=1200, **wide, **fine)
    config = DeviceConfig(inputs=1000, **wide, **fine)
    pair, rng = Pair(config), np.random.default_rng(0)
    for style in STYLES:
        pair.load_random("weight", style, rng)
        obs = fill(config.obs, (4, config.inputs), "extreme", rng)
        pair.infer(obs, np.arange(4, dtype=np.uint64), "conditional", None)


@pytest.mark.parametrize("index_bits", range(4, 11))
def test_tables(index_bits: int) -> None:
    assert tuple(exp2_table(index_bits).tolist()) == oracle.exp_table(index_bits)
    base, slope = reciprocal_table()
    assert (tuple(base.tolist()), tuple(slope.tolist())) == oracle.reciprocal_table()


@settings(MODEST, max_examples=15)
@given(
    config=configs(),
    seed=st.integers(0, 2**64 - 1),
    recurrent=st.floats(0, 1),
    observation=st.floats(0, 1),
)
def test_random_start(config: DeviceConfig, seed: int, recurrent: float, observation: float) -> None:
    expected = np.array(Oracle(config).random_start(seed, recurrent, observation))
    try:
        start = random_start(config, seed, recurrent, observation)
    except SvpgError:
        # A weight of an absent synapse counts too, hence only this direction.
        bound = 5.0 * max(recurrent, observation) * LOG2E * 2**config.weight_frac
        assert bound > config.weight.high
        return
    assert np.array_equal(config.weight.quantise(start.weight * LOG2E), expected)
    assert not start.bias.any()
