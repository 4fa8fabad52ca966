"""The golden model behind the host's interface: units, refusals, state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.arguments import SECTIONS, Apply
from golden.config import DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.parameters import Parameters, from_octaves
from golden.start import random_start
from host.backend import POLICIES, RULES, Update
from host.backends.device import apply_arguments
from host.backends.golden import GoldenBackend
from host.backends.registry import make_backend

CONFIG = DeviceConfig(inputs=3, groups=2, group_size=3, actions=4)
OBS = np.array([[0.25, 0.5, 1.0], [0.0, -1.0, 0.125]])
NONCE = np.array([3, 2**63 + 5], dtype=np.uint64)
WINNERS = np.array([[0, 1, 2], [2, 0, 3]])
MODULATOR = np.array([1.0, -0.5])
UPDATE = Update("rmsprop", rate=2.0**-5, obs_rate=2.0**-4, batch=2)


@pytest.fixture
def backend() -> GoldenBackend:
    made = make_backend("golden", CONFIG)
    assert isinstance(made, GoldenBackend)
    made.load(random_start(CONFIG, 1, 0.5, 0.5))
    return made


def train(backend: GoldenBackend, rule: str = "contrastive") -> None:
    """One sample batch and one update."""
    backend.learn(OBS, WINNERS, MODULATOR, rule)
    backend.apply(UPDATE)


# --- units -----------------------------------------------------------------------------------------
def test_decisions_come_in_natural_units(backend: GoldenBackend) -> None:
    decision = backend.infer(OBS, NONCE)
    raw = backend.device.infer(np.round(OBS * 256).astype(np.int64), NONCE)
    assert np.array_equal(decision.winners, raw.winners)
    assert np.array_equal(decision.action, raw.winners[:, -1])
    assert np.array_equal(decision.action_prob * 2**14, raw.prob_raw)
    assert np.array_equal(decision.q * 2**8, raw.q_raw)
    assert np.array_equal(decision.iterations, raw.iterations)
    assert np.array_equal(decision.counters["events"], raw.events)
    assert np.array_equal(decision.counters["row_words"], raw.row_words)


def test_observations_round_to_nearest_with_halves_away_from_zero(backend: GoldenBackend) -> None:
    step = 2.0**-8
    exact = np.array([[3.0, -3.0, 1.0]]) * step
    halves = np.array([[2.5, -2.5, 0.5]]) * step
    a, b = backend.infer(exact, NONCE[:1]), backend.infer(halves, NONCE[:1])
    assert np.array_equal(a.q, b.q)
    assert np.array_equal(a.action_prob, b.action_prob)


def test_modulators_saturate() -> None:
    accumulated = []
    for modulator in (7.984375, 8.0, 1e9):
        backend = GoldenBackend(CONFIG)
        backend.learn(OBS[:1], WINNERS[:1], np.array([modulator]), "published")
        accumulated.append(backend.state()["acc"])
    assert accumulated[0].any()
    assert np.array_equal(accumulated[0], accumulated[1])
    assert np.array_equal(accumulated[0], accumulated[2])


def test_given_hidden_winners_are_used(backend: GoldenBackend) -> None:
    decision = backend.infer(OBS, NONCE, "conditional", WINNERS)
    assert np.array_equal(decision.winners[:, :-1], WINNERS[:, :-1])
    again = backend.infer(OBS, NONCE, "conditional", np.where(np.arange(3) == 2, 10**6, WINNERS))
    assert np.array_equal(again.action_prob, decision.action_prob), "the last column is not read"


def test_info_tells_every_field_and_the_identity(backend: GoldenBackend) -> None:
    info = backend.info()
    assert info["backend"] == "golden"
    assert CONFIG.to_dict().items() <= info.items()
    assert info["digest"] == CONFIG.digest != CONFIG.replace(lanes=32).digest


def test_an_empty_batch_is_a_batch(backend: GoldenBackend) -> None:
    assert backend.infer(np.zeros((0, 3)), np.zeros(0, dtype=np.uint64)).action_prob.shape == (0, 4)
    before = backend.state()
    backend.learn(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64), np.zeros(0), "contrastive")
    assert all(np.array_equal(before[section], values) for section, values in backend.state().items())


# --- rates -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("exponent", [-10, -3, -1, 0, 1, 4])
def test_rates_are_powers_of_two(exponent: int) -> None:
    arguments = apply_arguments(Update("sgd", rate=2.0**exponent, obs_rate=2.0 ** (exponent - 1), batch=1))
    assert (arguments.rate, arguments.obs_rate) == (-exponent, 1 - exponent)


@pytest.mark.parametrize(
    ("rate", "near"), [(0.001, "0.000976562"), (0.1, "0.125"), (3.0, "4"), (0.0, "0.000976562"), (-0.5, "0.000976562")]
)
@pytest.mark.parametrize("name", ["rate", "obs_rate"])
def test_other_rates_are_refused_with_the_nearest_that_works(
    backend: GoldenBackend, name: str, rate: float, near: str
) -> None:
    rates = {"rate": 0.5, "obs_rate": 0.5, name: rate}
    with pytest.raises(SvpgError, match=rf"^{name} = {rate:g} is not a power of two, .*use {near}$"):
        backend.apply(Update("sgd", batch=4, **rates))


@pytest.mark.parametrize(("batch", "shift"), [(1, 0), (2, 1), (90, 6), (91, 7), (100, 7), (128, 7), (256, 8)])
def test_the_mean_is_over_the_nearest_power_of_two(batch: int, shift: int) -> None:
    assert apply_arguments(Update("sgd", rate=1.0, obs_rate=1.0, batch=batch)).mean_shift == shift


# --- refusals --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"obs": np.zeros((2, 4))}, r"shape \(2, 4\), expected \(batch, 3\)"),
        ({"obs": np.zeros(3)}, r"shape \(3,\), expected \(batch, 3\)"),
        ({"obs": np.array([[0.0, np.nan, np.inf], [0.0, 0.0, 0.0]])}, "2 of 6 values are not finite"),
        ({"obs": np.array([[0.0, 9.0, -20.0], [0.0, 0.0, 0.0]])}, r"2 of 6 values lie outside .* largest is -20"),
        ({"nonce": NONCE[:1]}, r"nonce has shape \(1,\), expected \(2,\)"),
        ({"policy": "best"}, "policy 'best' is unknown in rate mode; choose one of sample, greedy, conditional"),
        ({"winners": WINNERS}, "with policy 'conditional' only, not 'sample'"),
        ({"policy": "conditional", "winners": WINNERS[:, :2]}, r"shape \(2, 2\), expected \(2, 3\)"),
        ({"policy": "conditional", "winners": WINNERS + np.array([[3, 0, 0], [0, -1, 0]])}, "2 indices lie outside"),
    ],
)
def test_infer_refuses(backend: GoldenBackend, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SvpgError, match=message) as caught:
        backend.infer(**({"obs": OBS, "nonce": NONCE} | arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"obs": np.full((2, 3), 100.0)}, "6 of 6 values lie outside"),
        ({"winners": WINNERS[:1]}, r"shape \(1, 3\), expected \(2, 3\)"),
        ({"winners": WINNERS + 2}, "indices lie outside their group"),
        ({"modulator": np.zeros(3)}, r"modulator has shape \(3,\), expected \(2,\)"),
        ({"modulator": np.array([np.nan, 0.0])}, "1 values are NaN"),
        ({"rule": "hebb"}, "rule 'hebb' is unknown in rate mode; choose one of published, conditional, contrastive"),
    ],
)
def test_learn_refuses_and_changes_nothing(backend: GoldenBackend, arguments: dict[str, Any], message: str) -> None:
    before = backend.state()
    good = {"obs": OBS, "winners": WINNERS, "modulator": MODULATOR, "rule": "published"}
    with pytest.raises(SvpgError, match=message):
        backend.learn(**(good | arguments))
    assert all(np.array_equal(before[section], values) for section, values in backend.state().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (Apply("adam", 0, 0, 0), "optimiser 'adam' is unknown to the device; choose one of sgd, rmsprop, sign"),
        (Apply("sgd", 21, 0, 0), "mean_shift = 21 is out of range; give an integer from 0 to 20"),
        (Apply("sgd", 0, 21, 0), "rate = 21 is out of range"),
        (Apply("sgd", 0, 0, -5), "obs_rate = -5 is out of range; give an integer from -4 to 20"),
        (Apply("sign", 0, 12, 0), "rate = 12 is out of range; give an integer from -4 to 11"),
        (Apply("rmsprop", 0, 0, 0, decay=16), "decay = 16 is out of range"),
        (Apply("rmsprop", 0, 0, 0, floor=23), "floor = 23 is out of range; give an integer from 0 to 22"),
        (Apply("sign", 0, 0, 0, grid=17), "grid = 17 is out of range; give an integer from 0 to 16"),
    ],
)
def test_apply_refuses_and_changes_nothing(backend: GoldenBackend, arguments: Apply, message: str) -> None:
    backend.learn(OBS, WINNERS, MODULATOR, "published")
    before = backend.state()
    with pytest.raises(SvpgError, match=message):
        backend.device.apply(arguments)
    assert all(np.array_equal(before[section], values) for section, values in backend.state().items())


@pytest.mark.parametrize(
    ("section", "values", "start", "message"),
    [
        ("weights", [1], 0, "section 'weights' is unknown"),
        ("weight", [1.5], 0, "values must be integers"),
        ("bias", [0] * 11, 0, "11 values from position 0 exceed the section's 10"),
        ("bias", [0], -1, "1 values from position -1 exceed"),
        ("bias", [0, 1 << 15, -(1 << 15) - 1], 0, r"2 values lie outside -32768\.\.32767"),
        ("moment_bias", [-1], 0, "1 values lie outside 0"),
        ("acc", [0, 5], 0, "1 values are set where the device has no synapse"),
    ],
)
def test_load_refuses_and_changes_nothing(section: str, values: list[Any], start: int, message: str) -> None:
    device = Device(CONFIG)
    with pytest.raises(SvpgError, match=message):
        device.load(section, values, start)
    assert not any(device.read(name).any() for name in SECTIONS)


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, 11), (10, 1), (3, -1)])
def test_read_refuses_positions_beyond_the_section(start: int, count: int) -> None:
    with pytest.raises(SvpgError, match=r"READ bias: positions .* exceed the section's 10"):
        Device(CONFIG).read("bias", start, count)


# --- parameters and state --------------------------------------------------------------------------
@pytest.mark.parametrize("rule", RULES)
def test_loading_what_was_read_changes_no_bit(backend: GoldenBackend, rule: str) -> None:
    train(backend, rule)
    other = GoldenBackend(CONFIG)
    other.load(backend.read())
    for section in ("weight", "bias"):
        assert np.array_equal(other.device.read(section), backend.device.read(section))


def test_load_clears_what_was_learnt_of_other_parameters(backend: GoldenBackend) -> None:
    train(backend)
    backend.learn(OBS, WINNERS, MODULATOR, "published")
    state = backend.state()
    assert state["acc"].any()
    assert state["moment"].any()
    backend.load(backend.read())
    assert not any(backend.state()[section].any() for section in SECTIONS if not section.startswith(("weight", "bias")))


def test_load_refuses_parameters_of_another_device_and_keeps_its_own(backend: GoldenBackend) -> None:
    before = backend.state()
    other = CONFIG.replace(actions=5)
    with pytest.raises(SvpgError, match="actions is 5 but the device has 4"):
        backend.load(random_start(other, 1, 0.1, 0.1))
    too_large: Parameters = backend.read()
    too_large.bias[:] = 100.0
    with pytest.raises(SvpgError, match="10 of 10 values lie outside"):
        backend.load(too_large)
    assert all(np.array_equal(before[section], values) for section, values in backend.state().items())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_restored_backend_goes_on_to_the_same_bits(backend: GoldenBackend, policy: str) -> None:
    train(backend)
    backend.learn(OBS, WINNERS, MODULATOR, "conditional")
    saved = backend.state()
    other = GoldenBackend(CONFIG)
    other.restore(saved)
    for one in (backend, other):
        one.apply(UPDATE)
        train(one, "published")
    for section, values in backend.state().items():
        assert np.array_equal(other.state()[section], values), section
    a, b = backend.infer(OBS, NONCE, policy), other.infer(OBS, NONCE, policy)
    assert np.array_equal(a.winners, b.winners)
    assert np.array_equal(a.q, b.q)


def test_a_state_is_a_copy(backend: GoldenBackend) -> None:
    saved = backend.state()
    kept = {section: values.copy() for section, values in saved.items()}
    train(backend)
    assert not np.array_equal(backend.state()["weight"], kept["weight"])
    assert all(np.array_equal(saved[section], kept[section]) for section in SECTIONS)


def test_an_incomplete_state_is_refused(backend: GoldenBackend) -> None:
    state = backend.state()
    del state["moment"]
    with pytest.raises(SvpgError, match="lacks 'moment'"):
        GoldenBackend(CONFIG).restore(state)


@pytest.mark.parametrize("change", [{"inputs": 4}, {"inputs": 2}, {"group_size": 2}, {"actions": 5}])
def test_a_state_of_another_size_is_refused_and_changes_nothing(backend: GoldenBackend, change: dict[str, int]) -> None:
    before = backend.state()
    with pytest.raises(SvpgError, match="use the configuration it was saved with"):
        backend.restore(GoldenBackend(CONFIG.replace(**change)).state())
    assert all(np.array_equal(before[section], values) for section, values in backend.state().items())


def test_extreme_parameters_survive_reading_and_loading() -> None:
    n, number_format = CONFIG.neurons, CONFIG.weight
    weight = np.where(CONFIG.mask, number_format.low, 0)
    backend = GoldenBackend(CONFIG)
    backend.load(from_octaves(CONFIG, weight, np.full(n, number_format.high)))
    assert np.array_equal(backend.device.read("weight").reshape(weight.shape), weight)
    assert (backend.device.read("bias") == number_format.high).all()
