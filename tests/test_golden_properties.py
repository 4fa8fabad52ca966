"""What holds for the golden model whatever its parameters: the promises of docs/numerics.md."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from apytypes import APyFixed, OverflowMode, QuantizationMode
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from golden import kernels, plasticity
from golden.arguments import OPTIMISERS, POLICIES, RULES, SECTIONS
from golden.config import DRAW_BITS, DeviceConfig
from golden.device import Device
from tests.oracle import Oracle
from tests.test_golden_oracle import STYLES, configs, fill, fill_matrix, random_apply, random_winners

MODEST = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
OCTAVE = 1 << 12
"""One octave of the observations below."""


# --- softmax ---------------------------------------------------------------------------------------
def softmax_device(size: int, activity_frac: int = 14, index_bits: int = 9, prob_frac: int = 16) -> Device:
    """A device whose hidden group and action group both have the observations as potentials, one pass."""
    config = DeviceConfig(
        inputs=size,
        groups=1,
        group_size=size,
        actions=size,
        removed="ha",
        iterations=1,
        obs_bits=18,
        obs_frac=12,
        activity_frac=activity_frac,
        prob_frac=prob_frac,
        exp_index_bits=index_bits,
        acc_frac=8,
        moment_frac=16,
    )
    device = Device(config)
    weight = np.zeros((config.sources, config.neurons), dtype=np.int64)
    for j in range(size):
        weight[config.neurons + j, [j, size + j]] = 1 << config.weight_frac
    device.load("weight", weight)
    return device


def softmax(device: Device, octaves: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Raw activities and reported probabilities, (B, n) each, of potentials in units of 1 / OCTAVE octaves."""
    result = device.infer(octaves, np.zeros(len(octaves), dtype=np.uint64), "greedy")
    return result.q_raw[:, : octaves.shape[1]], result.prob_raw


def exact(octaves: NDArray[np.int64]) -> NDArray[np.float64]:
    """Softmax to the base 2 in float64."""
    terms = np.exp2((octaves - octaves.max(axis=1, keepdims=True)) / OCTAVE)
    return terms / terms.sum(axis=1, keepdims=True)


def potentials(size: int, seed: int = 0) -> NDArray[np.int64]:
    """Random and adversarial groups: flat to peaked, ties, and terms just short of counting one unit more."""
    rng = np.random.default_rng(seed)
    rows = 400
    parts = [rng.normal(size=(rows, size)) * spread for spread in (0.0005, 0.01, 0.3, 1, 3, 8)]
    parts.append(-rng.integers(0, 17, (rows, size)) - rng.integers(0, 8, (rows, size)) / OCTAVE)
    parts.append(np.zeros((rows, size)))
    vanishing = np.full((rows, size), -15.0) + rng.integers(-8, 9, (rows, 1)) / OCTAVE
    level = -rng.random((rows, 1)) * 15 + rng.integers(-8, 9, (rows, size)) / OCTAVE
    for part in (vanishing, level):
        part[:, rng.integers(size)] = 0.0
        parts.append(part)
    return np.clip(np.round(np.concatenate(parts) * OCTAVE), -(1 << 17), (1 << 17) - 1).astype(np.int64)


def softmax_bound(size: int, index_bits: int) -> float:
    """Error of an activity before its rounding to the output format, as docs/numerics.md states it."""
    return 2.0 ** -(index_bits + 3) + (size + 1.6) * 2.0**-15


@pytest.mark.parametrize("size", [2, 3, 8, 10, 18, 64])
@pytest.mark.parametrize("activity_frac", [4, 8, 14])
def test_softmax_keeps_the_order_of_potentials(size: int, activity_frac: int) -> None:
    octaves = potentials(size)
    for out in softmax(softmax_device(size, activity_frac), octaves):
        order = np.argsort(octaves, axis=1)
        u, q = np.take_along_axis(octaves, order, 1), np.take_along_axis(out, order, 1)
        rises = np.diff(q, axis=1)
        assert (rises >= 0).all()
        assert not rises[np.diff(u, axis=1) == 0].any(), "equal potentials have equal activities"


@pytest.mark.parametrize("size", [2, 3, 8, 10, 15, 18, 64])
@pytest.mark.parametrize("index_bits", [4, 6, 9, 11])
def test_softmax_is_as_exact_as_stated(size: int, index_bits: int) -> None:
    octaves = potentials(size)
    hidden, reported = softmax(softmax_device(size, 14, index_bits, 16), octaves)
    for out, frac in ((hidden, 14), (reported, 16)):
        error = np.abs(out / 2.0**frac - exact(octaves)).max()
        assert error <= softmax_bound(size, index_bits) + 2.0 ** -(frac + 1)


@pytest.mark.parametrize(("largest", "activity_frac"), [(6, 10), (14, 11), (18, 12), (21, 14)])
def test_groups_within_two_to_the_minus_ten_of_the_exact_softmax(largest: int, activity_frac: int) -> None:
    for size in range(2, largest + 1):
        octaves = potentials(size)
        hidden, reported = softmax(softmax_device(size, activity_frac, prob_frac=14), octaves)
        assert np.abs(hidden / 2.0**activity_frac - exact(octaves)).max() <= 2.0**-10
        assert np.abs(reported / 2.0**14 - exact(octaves)).max() <= 2.0**-10


@pytest.mark.parametrize("size", [40, 64])
def test_the_error_bound_of_large_groups_is_nearly_reached(size: int) -> None:
    octaves = potentials(size)
    _, reported = softmax(softmax_device(size), octaves)
    assert np.abs(reported / 2.0**16 - exact(octaves)).max() > 0.75 * softmax_bound(size, 9)


def test_the_reciprocal_errs_by_less_than_stated_on_every_mantissa() -> None:
    constants = kernels.constants(DeviceConfig(inputs=1, groups=1, group_size=2, actions=2))
    errors = []
    for total in range(1 << 16, 1 << 17):
        r, exponent = kernels.reciprocal(constants, total)
        errors.append(r * total / 2.0 ** (16 + exponent) - 1.0)
    assert min(errors) >= -0.22 * 2.0**-14
    assert max(errors) <= 1.27 * 2.0**-14


@pytest.mark.parametrize("size", [2, 3, 8, 18, 64])
@pytest.mark.parametrize("activity_frac", [4, 8, 11, 14])
def test_activities_of_a_group_add_up_to_one(size: int, activity_frac: int) -> None:
    hidden, reported = softmax(softmax_device(size, activity_frac), potentials(size))
    for out, frac in ((hidden, activity_frac), (reported, 16)):
        deviation = np.abs(out.sum(axis=1) - (1 << frac)).max()
        assert deviation <= size / 2 + 1.27 * 2.0 ** (frac - 14)
    assert np.abs(hidden.sum(axis=1) - (1 << activity_frac)).max() <= size


@pytest.mark.parametrize("size", [2, 8, 64])
@pytest.mark.parametrize("index_bits", [4, 9, 11])
def test_a_neuron_sixteen_octaves_above_its_group_takes_everything(size: int, index_bits: int) -> None:
    octaves = np.full((size, size), -16 * OCTAVE)
    np.fill_diagonal(octaves, 0)
    hidden, reported = softmax(softmax_device(size, 14, index_bits), octaves)
    assert np.array_equal(hidden, np.eye(size, dtype=np.int64) << 14)
    assert np.array_equal(reported, np.eye(size, dtype=np.int64) << 16)


# --- winners ---------------------------------------------------------------------------------------
@MODEST
@given(
    terms=st.lists(st.one_of(st.just(0), st.integers(1, 1 << 15)), min_size=2, max_size=64).filter(any),
    draw=st.one_of(st.sampled_from([0, (1 << DRAW_BITS) - 1]), st.integers(0, (1 << DRAW_BITS) - 1)),
)
@example(terms=[0, 1, 0], draw=0)
@example(terms=[0, 1, 0], draw=(1 << DRAW_BITS) - 1)
def test_a_neuron_without_a_term_never_wins(terms: list[int], draw: int) -> None:
    array = np.array(terms, dtype=np.int64)
    winner = kernels.draw_winner(array, 0, array.size, array.sum(), draw)
    assert terms[winner] > 0
    assert sum(terms[:winner]) <= draw * sum(terms) / (1 << DRAW_BITS) < sum(terms[: winner + 1])


def test_a_neuron_sixteen_octaves_down_is_not_drawn_in_a_hundred_thousand_decisions() -> None:
    octaves = np.array([[-16 * OCTAVE, 0, -20 * OCTAVE, -OCTAVE]])
    device = softmax_device(4)
    winners = device.infer(octaves.repeat(100_000, 0), np.arange(100_000, dtype=np.uint64), "sample").winners
    assert set(np.unique(winners)) == {1, 3}


@MODEST
@given(config=configs(), policy=st.sampled_from(sorted(POLICIES)), seed=st.integers(0, 2**32 - 1))
def test_a_decision_is_a_function_of_its_arguments_and_the_parameters(
    config: DeviceConfig, policy: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    device = random_device(config, "wide", rng)
    obs = fill(config.obs, (4, config.inputs), "wide", rng)
    nonce = rng.integers(0, 2**64, 4, dtype=np.uint64)
    first = device.infer(obs, nonce, policy)
    device.infer(obs[:1], nonce[:1], "sample")
    device.learn(obs, random_winners(config, 4, rng), fill(config.modulator, 4, "wide", rng), "published")
    second = device.infer(obs[::-1], nonce[::-1], policy)
    for name, values in vars(first).items():
        assert np.array_equal(values, vars(second)[name][::-1]), name
    renewed = device.infer(obs, nonce + np.uint64(1), policy)
    for name in ("q_raw", "iterations"):
        assert np.array_equal(getattr(first, name), getattr(renewed, name)), f"{name} does not depend on the nonce"


# --- batches and order -----------------------------------------------------------------------------
def random_device(config: DeviceConfig, style: str, rng: np.random.Generator) -> Device:
    """A device with random symmetric weights and biases."""
    device = Device(config)
    device.load("weight", fill_matrix(config, config.weight, style, rng))
    device.load("bias", fill(config.weight, config.neurons, style, rng))
    return device


def memories(device: Device) -> dict[str, list[int]]:
    """All sections."""
    return {section: device.read(section).tolist() for section in SECTIONS}


@MODEST
@given(config=configs(), rule=st.sampled_from(sorted(RULES)), seed=st.integers(0, 2**32 - 1))
def test_a_batch_equals_its_samples_one_by_one(config: DeviceConfig, rule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    device = random_device(config, "wide", rng)
    single = Device(config)
    for section in ("weight", "bias"):
        single.load(section, device.read(section))
    obs = fill(config.obs, (3, config.inputs), "wide", rng)
    nonce = rng.integers(0, 2**64, 3, dtype=np.uint64)
    together = device.infer(obs, nonce, "conditional")
    alone = [single.infer(obs[b : b + 1], nonce[b : b + 1], "conditional") for b in range(3)]
    for name, values in vars(together).items():
        assert np.array_equal(values, np.concatenate([getattr(one, name) for one in alone])), name
    modulator = fill(config.modulator, 3, "extreme", rng)
    learned = device.learn(obs, together.winners, modulator, rule)
    steps = [single.learn(obs[[b]], together.winners[[b]], modulator[[b]], rule) for b in range(3)]
    for name, values in vars(learned).items():
        assert np.array_equal(values, np.concatenate([getattr(one, name) for one in steps])), name
    assert memories(device) == memories(single)


@MODEST
@given(config=configs(), rule=st.sampled_from(sorted(RULES)), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_samples_is_irrelevant_while_nothing_saturates(config: DeviceConfig, rule: str, seed: int) -> None:
    config = config.replace(acc_bits=48)
    rng = np.random.default_rng(seed)
    forward = random_device(config, "wide", rng)
    backward = Device(config)
    for section in ("weight", "bias"):
        backward.load(section, forward.read(section))
    obs = fill(config.obs, (5, config.inputs), "wide", rng)
    winners, modulator = random_winners(config, 5, rng), fill(config.modulator, 5, "wide", rng)
    forward.learn(obs, winners, modulator, rule)
    backward.learn(obs[::-1], winners[::-1], modulator[::-1], rule)
    high = config.accumulator.high
    assume(all(np.abs(forward.read(section)).max() < high for section in ("acc", "acc_bias")))
    assert memories(forward) == memories(backward)


@MODEST
@given(config=configs(), seed=st.integers(0, 2**32 - 1))
def test_permuting_groups_and_observations_permutes_a_greedy_decision(config: DeviceConfig, seed: int) -> None:
    """Events enter the potentials in another order, so their order does not matter."""
    rng = np.random.default_rng(seed)
    device = random_device(config, "wide", rng)
    groups, inputs = rng.permutation(config.groups), rng.permutation(config.inputs)
    members = np.arange(config.hidden).reshape(config.groups, config.group_size)[groups].ravel()
    posts = np.append(members, np.arange(config.hidden, config.neurons))
    sources = np.append(posts, config.neurons + inputs)
    permuted = Device(config)
    weight = device.read("weight").reshape(config.sources, config.neurons)
    permuted.load("weight", weight[sources][:, posts])
    permuted.load("bias", device.read("bias")[posts])
    obs = fill(config.obs, (3, config.inputs), "wide", rng)
    nonce = np.zeros(3, dtype=np.uint64)
    a, b = device.infer(obs, nonce, "greedy"), permuted.infer(obs[:, inputs], nonce, "greedy")
    assert np.array_equal(a.q_raw[:, posts], b.q_raw)
    assert np.array_equal(a.winners[:, np.append(groups, config.groups)], b.winners)
    for name in ("prob_raw", "iterations", "events", "row_words"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


# --- learning --------------------------------------------------------------------------------------
@MODEST
@given(
    config=configs(),
    parameters=st.sampled_from(STYLES),
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(RULES)), st.sampled_from(sorted(OPTIMISERS))), min_size=1, max_size=4
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_symmetry_and_absent_synapses_survive_every_history(
    config: DeviceConfig, parameters: str, steps: list[tuple[str, str]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    device = random_device(config, parameters, rng)
    n = config.neurons
    for rule, optimiser in steps:
        obs = fill(config.obs, (4, config.inputs), "extreme", rng)
        modulator = fill(config.modulator, 4, str(rng.choice(STYLES)), rng)
        device.learn(obs, random_winners(config, 4, rng), modulator, rule)
        assert_symmetric_and_masked(device, "acc", n)
        device.apply(random_apply(config, optimiser, rng))
        for section in ("weight", "moment"):
            assert_symmetric_and_masked(device, section, n)
        assert not device.read("acc").any()
        assert not device.read("acc_bias").any()


def assert_symmetric_and_masked(device: Device, section: str, n: int) -> None:
    """The recurrent block equals its transpose, absent synapses are zero, values fit the section's format."""
    values = device.read(section).reshape(device.config.sources, n)
    assert np.array_equal(values[:n], values[:n].T), section
    assert not values[~device.config.mask].any(), section
    number_format = device.section_format(section)
    assert number_format.low <= values.min() <= values.max() <= number_format.high, section


def test_published_rule_moves_the_winner_up_and_the_others_down() -> None:
    config = DeviceConfig(inputs=2, groups=2, group_size=3, actions=3)
    device = Device(config)
    obs = np.array([[256, 0]])
    device.learn(obs, np.array([[0, 1, 2]]), np.array([64]), "published")
    acc = device.read("acc").reshape(config.sources, config.neurons)
    winners = [0, 4, 8]
    losers = [j for j in range(9) if j not in winners]
    assert (acc[9, winners] > 0).all()
    assert (acc[9, losers] < 0).all()
    assert not acc[10].any(), "an observation of zero teaches nothing"
    assert device.read("acc_bias")[winners].min() > 0 > device.read("acc_bias")[losers].max()


# --- widths ----------------------------------------------------------------------------------------
@MODEST
@given(config=configs())
def test_potentials_of_the_worst_parameters_fit_and_use_their_width(config: DeviceConfig) -> None:
    worst = Oracle(config)
    low, high = config.weight.low, config.weight.high
    worst.weight = [[low if i < config.neurons else high] * config.neurons for i in range(config.sources)]
    worst.bias = [low] * config.neurons
    one = 1 << config.activity_frac
    q = [0] * config.neurons
    for group in range(config.groups + 1):
        members = worst.members(group)
        for rank, j in enumerate(members):
            # The largest sum that n roundings allow, however it is spread.
            q[j] = one // len(members) + (1 if rank else one % len(members) + 1)
    obs = [config.obs.low] * config.inputs
    largest = max(abs(u) for u in worst.potentials(obs, q))
    assert 1 << (config.potential_bits - 3) < largest < 1 << (config.potential_bits - 1)


# --- an independent fixed-point library ------------------------------------------------------------
def fixed(raw: int, frac: int) -> APyFixed:
    """The exact value raw / 2**frac."""
    return APyFixed(raw, bits=64, frac_bits=frac) if frac >= 0 else APyFixed(raw << -frac, bits=64, frac_bits=0)


def raw_signed(value: APyFixed) -> int:
    """Two's-complement integer of a value."""
    bits = value.to_bits()
    return bits - (1 << value.bits) if bits >> (value.bits - 1) else bits


@settings(MODEST, max_examples=300)
@given(value=st.integers(-(1 << 50), 1 << 50), shift=st.integers(0, 40))
@example(value=-(1 << 20), shift=21)
@example(value=1 << 20, shift=21)
def test_rounding_shift_is_round_half_away_from_zero(value: int, shift: int) -> None:
    rounded = fixed(value, shift).cast(int_bits=64, frac_bits=0, quantization=QuantizationMode.TIES_AWAY)
    assert kernels.shift_round(value, shift) == raw_signed(rounded)


@settings(MODEST, max_examples=100)
@given(
    s=st.integers(-2048, 2047),
    modulator=st.integers(-511, 511),
    acc=st.integers(-(1 << 15), (1 << 15) - 1),
    acc_frac=st.integers(4, 20),
)
def test_an_observation_synapse_accumulates_the_rounded_saturated_product(
    s: int, modulator: int, acc: int, acc_frac: int
) -> None:
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2, acc_bits=16, acc_frac=acc_frac, moment_frac=8)
    device = Device(config)
    device.load("acc", np.array([acc]), start=config.neurons * config.neurons)
    device.learn(np.array([[s]]), np.array([[0, 0]]), np.array([modulator]), "published")
    # All-zero parameters leave q at one half, so the winner's change is one half.
    product = fixed(s, config.obs_frac) * fixed(modulator, config.modulator_frac) * fixed(1, 1)
    amount = product.cast(int_bits=40, frac_bits=acc_frac, quantization=QuantizationMode.TIES_AWAY)
    total = (amount + fixed(acc, acc_frac)).cast(int_bits=16 - acc_frac, frac_bits=acc_frac, overflow=OverflowMode.SAT)
    assert device.read("acc", config.neurons * config.neurons, 1)[0] == raw_signed(total)


@settings(MODEST, max_examples=100)
@given(
    acc=st.integers(-(1 << 31), (1 << 31) - 1),
    weight=st.integers(-(1 << 15), (1 << 15) - 1),
    mean_shift=st.integers(0, 12),
    rate=st.integers(-4, 12),
)
def test_sgd_adds_the_rounded_saturated_gradient(acc: int, weight: int, mean_shift: int, rate: int) -> None:
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2)
    device = Device(config)
    device.load("acc_bias", np.array([acc]))
    device.load("bias", np.array([weight]))
    arguments = dataclasses.replace(random_apply(config, "sgd", np.random.default_rng(0)), mean_shift=mean_shift)
    device.apply(dataclasses.replace(arguments, rate=rate))
    gradient = fixed(acc, config.acc_frac + mean_shift).cast(
        int_bits=config.grad_bits - config.acc_frac,
        frac_bits=config.acc_frac,
        quantization=QuantizationMode.TIES_AWAY,
        overflow=OverflowMode.SAT,
    )
    step = fixed(raw_signed(gradient), config.acc_frac + rate).cast(
        int_bits=40, frac_bits=config.weight_frac, quantization=QuantizationMode.TIES_AWAY
    )
    total = (step + fixed(weight, config.weight_frac)).cast(
        int_bits=config.weight_bits - config.weight_frac, frac_bits=config.weight_frac, overflow=OverflowMode.SAT
    )
    assert device.read("bias", 0, 1)[0] == raw_signed(total)


def test_rmsprop_shift_is_the_nearest_power_of_two_below_or_at_twice_the_root() -> None:
    moment_frac = 22
    for moment in range(1, 1 << 16, 7):
        exponent = plasticity.rms_shift(moment, 1, moment_frac)
        ratio = 2.0**exponent / math.sqrt(moment / 2.0**moment_frac)
        assert math.sqrt(0.5) < ratio <= math.sqrt(2.0)
