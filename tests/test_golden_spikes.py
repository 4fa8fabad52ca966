"""Spike mode of the golden model: the text of docs/numerics.md to the bit, and what spikes are used for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from golden.arguments import obs_range, policies, rules
from golden.client import FrameDevice
from golden.config import EXP_FRAC, OBS_SPIKES, DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.kernels import constants
from golden.parameters import Parameters, from_octaves
from golden.server import FrameServer
from golden.spike_reference import response
from golden.spikes import observation_spikes
from host.backend import Update
from host.backends.float import FloatBackend
from host.backends.golden import GoldenBackend
from tests.test_golden_oracle import MODEST, STYLES, Pair, configs, fill, random_winners


@st.composite
def spiking(draw: st.DrawFn) -> DeviceConfig:
    """Devices in spike mode, of every window that fits."""
    config = draw(configs())
    window = 1 << draw(st.integers(0, min(6, config.activity_frac)))
    return config.replace(
        mode="spike",
        start="silent",
        prob_frac=min(config.prob_frac, EXP_FRAC),
        window=window,
        steps=window + draw(st.integers(0, 12)),
        obs_spikes=draw(st.sampled_from(OBS_SPIKES)),
        groups=min(config.groups, 3),
        group_size=min(config.group_size, 6),
        actions=min(config.actions, 6),
        inputs=min(config.inputs, 20),
    )


def observations(config: DeviceConfig, batch: int, style: str, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.clip(fill(config.obs, (batch, config.inputs), style, rng), *obs_range(config))


@settings(MODEST, max_examples=40)
@given(
    config=spiking(),
    policy=st.sampled_from(("sample", "greedy")),
    parameters=st.sampled_from(STYLES),
    seed=st.integers(0, 2**32 - 1),
)
def test_decisions_follow_from_the_text(config: DeviceConfig, policy: str, parameters: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(config)
    pair.load_random("weight", parameters, rng)
    pair.infer(observations(config, 2, "wide", rng), rng.integers(0, 2**64, 2, dtype=np.uint64), policy, None)


@settings(MODEST, max_examples=6)
@given(
    config=spiking(),
    rule=st.sampled_from(("published", "contrastive")),
    parameters=st.sampled_from(STYLES),
    modulators=st.sampled_from(STYLES),
    seed=st.integers(0, 2**32 - 1),
)
def test_learning_follows_from_the_text(
    config: DeviceConfig, rule: str, parameters: str, modulators: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(config)
    pair.load_random("weight", parameters, rng)
    pair.load_random("acc", "small", rng)
    nonce = rng.integers(0, 2**64, 2, dtype=np.uint64)
    obs, modulator = observations(config, 2, "wide", rng), fill(config.modulator, 2, modulators, rng)
    pair.learn(obs, random_winners(config, 2, rng), modulator, rule, nonce)
    pair.assert_same_memories()


CONFIG = DeviceConfig(
    inputs=6, groups=3, group_size=4, actions=3, lanes=7, mode="spike", steps=20, window=8, activity_frac=8
)
BERNOULLI = CONFIG.replace(obs_spikes="bernoulli")


def random_device(config: DeviceConfig, deviation: float = 0.5, seed: int = 0) -> Device:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(config.sources, config.neurons)) * deviation
    weight[: config.neurons] = np.triu(weight[: config.neurons]) + np.triu(weight[: config.neurons], 1).T
    device = Device(config)
    device.load("weight", config.weight.quantise(weight * config.mask))
    return device


def shown(config: DeviceConfig, batch: int, seed: int = 1) -> NDArray[np.int64]:
    return config.obs.quantise(np.random.default_rng(seed).random((batch, config.inputs)))


@pytest.mark.parametrize("config", [CONFIG, BERNOULLI], ids=OBS_SPIKES)
def test_a_decision_depends_on_its_arguments_alone(config: DeviceConfig) -> None:
    device, obs, nonce = random_device(config), shown(config, 9), np.arange(9, dtype=np.uint64)
    together = device.infer(obs, nonce)
    for b in reversed(range(9)):
        alone = device.infer(obs[b : b + 1], nonce[b : b + 1])
        assert all(np.array_equal(values[b : b + 1], getattr(alone, name)) for name, values in vars(together).items())
    assert len(np.unique(device.infer(obs[[0] * 9], nonce).winners, axis=0)) > 1, "the nonce is what is random"


def test_every_spike_is_reported_and_traces_are_shares_of_the_window() -> None:
    result = random_device(CONFIG).infer(shown(CONFIG, 50), np.arange(50, dtype=np.uint64))
    assert result.spikes.shape == (50, CONFIG.steps, CONFIG.groups + 1)
    assert np.array_equal(result.spikes[:, -1, :-1], result.winners[:, :-1]), (
        "winners are the last spikes, the action apart"
    )
    # The last softmax does not see the spikes of its own step.
    seen = result.spikes[:, -CONFIG.window - 1 : -1]
    for group, size in enumerate(np.diff(CONFIG.group_start)):
        counts = (seen[:, :, group, None] == np.arange(size)).sum(axis=1)
        first = CONFIG.group_start[group]
        assert np.array_equal(
            result.q_raw[:, first : first + size], counts * (1 << CONFIG.activity_frac) // CONFIG.window
        )


def test_an_event_is_a_power_of_two() -> None:
    """With constant spikes, all events are those of the observation's digits and of the first spikes."""
    config = CONFIG.replace(groups=1, removed="none", obs_bits=12)
    device = Device(config)
    # One neuron of each group is so far above the rest that it alone spikes.
    bias = np.full(config.neurons, config.weight.low)
    bias[config.group_start[:-1]] = config.weight.high
    device.load("bias", bias)
    lanes_of_all = -(-config.neurons // config.lanes)
    for raw, digits in [
        (0, 0),
        (1, 1),
        (3, 2),
        (7, 2),
        (-7, 2),
        (0b10101, 3),
        (255, 2),
        (256, 1),
        (-2048, 1),
        (0x555, 6),
    ]:
        result = device.infer(np.array([[raw, 0, 0, 0, 0, 0]]), np.zeros(1, dtype=np.uint64))
        assert (result.spikes == 0).all()
        assert result.events.tolist() == [digits + 2], raw
        assert result.row_words.tolist() == [digits * lanes_of_all + 2], "both groups reach one word"


def test_rate_mode_has_no_spikes() -> None:
    result = Device(CONFIG.replace(mode="rate")).infer(shown(CONFIG, 5), np.arange(5, dtype=np.uint64))
    assert result.spikes.shape == (5, 0, CONFIG.groups + 1)


def test_traces_are_shares_of_the_window() -> None:
    result = random_device(CONFIG).infer(shown(CONFIG, 50), np.arange(50, dtype=np.uint64))
    assert (result.q_raw % (1 << CONFIG.activity_frac) // CONFIG.window == result.q_raw % (1 << 8) // 8).all()
    for low, high in zip(CONFIG.group_start[:-1], CONFIG.group_start[1:], strict=True):
        assert (result.q_raw[:, low:high].sum(axis=1) == 1 << CONFIG.activity_frac).all(), "one spike in each step"
    assert (result.iterations == CONFIG.steps).all()


def test_without_weights_spikes_are_uniform_and_independent() -> None:
    """Chi-square over neurons; correlations between groups, steps and nonces."""
    config = CONFIG.replace(steps=8, window=8, groups=2)
    device, batch = Device(config), 20_000
    nonce = np.arange(batch, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    result = device.infer(np.zeros((batch, 6), dtype=np.int64), nonce)
    for group, size in enumerate((4, 4, 3)):
        counts = np.bincount(result.winners[:, group], minlength=size)
        expected = batch / size
        # The chance of more than 25 is 5e-5 at 3 degrees of freedom, and smaller at 2.
        assert ((counts - expected) ** 2 / expected).sum() < 25
    columns = [result.winners[:, 0], result.winners[:, 1], result.q_raw[:, 0], result.q_raw[:, 4]]
    pairs = [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert all(abs(np.corrcoef(columns[a], columns[b])[0, 1]) < 4.5 / batch**0.5 for a, b in pairs)
    following = [np.corrcoef(column[1:], column[:-1])[0, 1] for column in columns]
    assert np.abs(following).max() < 4.5 / batch**0.5, "neighbouring nonces"


@pytest.mark.parametrize("frac", [8, 10])
def test_observations_spike_as_often_as_they_are_large_and_independently(frac: int) -> None:
    config = BERNOULLI.replace(obs_frac=frac, obs_bits=frac + 4)
    one, steps, batch = 1 << frac, 40, 1000
    raw = np.array([0, one // 8, one // 2, one - 1, one, one // 3])
    spikes = observation_spikes(constants(config), np.tile(raw, (batch, 1)), np.arange(batch, dtype=np.uint64), steps)
    share = spikes.mean(axis=(0, 1))
    assert share[0] == 0 and share[4] == 1
    bound = 4.5 * np.sqrt(raw * (one - raw) / one**2 / (steps * batch))
    assert (np.abs(share - raw / one) <= bound + 1e-12).all()
    for a, b in [(1, 2), (2, 5), (1, 5)]:
        assert abs(np.corrcoef(spikes[:, :, a].ravel(), spikes[:, :, b].ravel())[0, 1]) < 4.5 / (steps * batch) ** 0.5
    x = spikes[:, :, 2]
    assert abs(np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1]) < 4.5 / (steps * batch) ** 0.5, "between steps"
    assert abs(np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1]) < 4.5 / (steps * batch) ** 0.5, "between nonces"


def test_a_test_of_independence_can_fail() -> None:
    """The same nonce twice is what it must notice."""
    config = CONFIG.replace(steps=8, window=8)
    result = Device(config).infer(np.zeros((2000, 6), dtype=np.int64), np.arange(2000, dtype=np.uint64) // np.uint64(2))
    winners = result.winners[:, 0]
    assert abs(np.corrcoef(winners[1::2], winners[::2])[0, 1]) > 4.5 / 1000**0.5


@pytest.mark.parametrize("obs_spikes", OBS_SPIKES)
@pytest.mark.parametrize("rule", ["published", "contrastive"])
def test_golden_stays_near_the_float_reference(rule: str, obs_spikes: str) -> None:
    """With the same random numbers most spikes are the same; where a draw lies at an edge they part."""
    config = CONFIG.replace(
        obs_spikes=obs_spikes, activity_frac=12, weight_frac=12, modulator_frac=9, modulator_bits=14
    )
    device = random_device(config)
    parameters: Parameters = from_octaves(config, device.weight, device.bias)
    golden, real = GoldenBackend(config), FloatBackend(config)
    obs, nonce = config.obs.to_float(shown(config, 400)), np.arange(400, dtype=np.uint64)
    decisions = []
    for backend in (golden, real):
        backend.load(parameters)
        decisions.append(backend.infer(obs, nonce))
    same = (decisions[0].winners == decisions[1].winners).all(axis=1)
    assert same.mean() > 0.97
    assert np.abs(decisions[0].action_prob - decisions[1].action_prob)[same].mean() < 2e-3
    modulator = np.random.default_rng(2).normal(size=400)
    for backend in (golden, real):
        backend.learn(obs, decisions[1].winners, modulator, rule, nonce)
    memories = [golden.state(), real.state()]
    found = memories[0]["acc"] / 2**config.acc_frac
    expected = memories[1]["acc_weight"]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean() + 0.02


@pytest.mark.parametrize("make", [GoldenBackend, FloatBackend])
@pytest.mark.parametrize("rule", ["published", "contrastive"])
def test_what_is_rewarded_becomes_more_probable(make: type, rule: str) -> None:
    config = CONFIG.replace(steps=32, window=16)
    device = random_device(config, 0.1)
    backend = make(config)
    backend.load(from_octaves(config, device.weight, device.bias))
    obs, nonce = config.obs.to_float(shown(config, 64)), np.arange(64, dtype=np.uint64)
    before = backend.infer(obs, nonce)
    for _ in range(20):
        winners = backend.infer(obs, nonce).winners
        backend.learn(obs, winners, np.where(winners[:, -1] == 1, 1.0, -1.0), rule, nonce)
        backend.apply(Update("sgd", 0.25, 0.25, 64))
    after = backend.infer(obs, nonce)
    assert after.action_prob[:, 1].mean() > before.action_prob[:, 1].mean() + 0.2
    weight = backend.read().weight[: config.neurons]
    assert np.array_equal(weight, weight.T)


def test_the_contrastive_rule_alone_reaches_hidden_neurons_without_direct_connections() -> None:
    """Without a path from observations to actions, the sign of what hidden neurons learn is that of the reward."""
    config = CONFIG.replace(removed="hhsa", steps=32, window=16)
    updates = {}
    for rule in ("published", "contrastive"):
        device = random_device(config, 0.3)
        obs, nonce = shown(config, 3000), np.arange(3000, dtype=np.uint64)
        winners = device.infer(obs, nonce).winners
        modulator = np.where(winners[:, -1] == 1, 64, -64)
        halves = []
        for part in (slice(0, 1500), slice(1500, 3000)):
            device.clear_learning()
            device.learn(obs[part], winners[part], modulator[part], rule, nonce[part])
            halves.append(device.read("acc").reshape(config.sources, -1)[config.neurons :, : config.hidden].ravel())
        updates[rule] = np.corrcoef(*halves)[0, 1]
    assert updates["contrastive"] > 0.9, "the same from other samples: a signal"
    assert updates["published"] < 0.6, "mostly noise"


@pytest.mark.parametrize("config", [CONFIG, BERNOULLI], ids=OBS_SPIKES)
def test_frames_carry_spike_mode(config: DeviceConfig) -> None:
    direct, server = random_device(config), FrameServer(config)
    framed = FrameDevice(config, server)
    framed.load("weight", direct.read("weight"))
    obs, nonce = shown(config, 7), np.arange(7, dtype=np.uint64) + np.uint64(2**63)
    for policy in policies(config):
        expected, found = direct.infer(obs, nonce, policy), framed.infer(obs, nonce, policy, spikes=True)
        assert all(np.array_equal(values, getattr(found, name)) for name, values in vars(expected).items())
        short = framed.infer(obs, nonce, policy, activity=False)
        assert (short.q_raw.shape, short.spikes.shape) == ((7, 0), (7, 0, 4))
        assert np.array_equal(short.winners, expected.winners)
    for rule in rules(config):
        counters = direct.learn(obs, expected.winners, np.arange(-3, 4), rule, nonce)
        answered = framed.learn(obs, expected.winners, np.arange(-3, 4), rule, nonce)
        assert answered is not None
        assert all(np.array_equal(values, getattr(answered, name)) for name, values in vars(counters).items())
    assert np.array_equal(direct.read("acc"), framed.read("acc"))
    assert framed.rules == frozenset(("published", "contrastive"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mode": "morse"}, "mode = 'morse' is unknown; choose one of rate, spike"),
        ({"obs_spikes": "poisson"}, "obs_spikes = 'poisson' is unknown"),
        ({"window": 12}, "window = 12 is not possible; give a power of two up to 64"),
        ({"window": 32, "activity_frac": 4, "steps": 32}, "give a power of two up to 16"),
        ({"window": 64}, "window = 64 exceeds the 20 steps"),
        ({"prob_frac": 16}, "prob_frac = 16 is not possible in spike mode; give 15 at most"),
        ({"start": "uniform"}, "does not exist in spike mode; leave it silent"),
    ],
)
def test_configurations_that_do_not_exist(fields: dict[str, int | str], message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        dataclasses.replace(CONFIG, **fields)  # type: ignore[arg-type]


def test_arguments_that_do_not_exist() -> None:
    device, obs, nonce = Device(BERNOULLI), shown(BERNOULLI, 2), np.zeros(2, dtype=np.uint64)
    winners = np.zeros((2, 4), dtype=np.int64)
    with pytest.raises(SvpgError, match="policy 'conditional' is unknown in spike mode; choose one of sample, greedy"):
        device.infer(obs, nonce, "conditional")
    with pytest.raises(SvpgError, match="rule 'conditional' is unknown in spike mode"):
        device.learn(obs, winners, np.ones(2, dtype=np.int64), "conditional", nonce)
    with pytest.raises(SvpgError, match="spike mode needs the nonces of the decisions"):
        device.learn(obs, winners, np.ones(2, dtype=np.int64), "published")
    with pytest.raises(SvpgError, match=r"outside 0..256; Bernoulli spikes need observations from 0 to 1"):
        device.infer(obs - 256, nonce)
    with pytest.raises(SvpgError, match=r"noise = 0\.1 does not exist in spike mode"):
        FloatBackend(CONFIG, noise=0.1)


def test_the_double_exponential_weighs_ages() -> None:
    config = CONFIG.replace(window=16, steps=32)
    assert np.allclose(response(config, "uniform"), 1 / 16)
    age = np.arange(1, 17)
    exact = np.exp(-age / 8) - np.exp(-age / 2)
    assert np.allclose(response(config, "double-exponential"), exact / exact.sum())
    obs, nonce = np.full((4, 6), 0.5), np.arange(4, dtype=np.uint64)
    backends = [FloatBackend(config, response=kind) for kind in ("uniform", "double-exponential")]
    device = random_device(config)
    for backend in backends:
        backend.load(from_octaves(config, device.weight, device.bias))
    uniform, double = (backend.infer(obs, nonce) for backend in backends)
    assert np.allclose(double.q.sum(axis=1), uniform.q.sum(axis=1)) and not np.allclose(double.q, uniform.q)
