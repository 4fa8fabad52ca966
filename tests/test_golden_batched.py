"""Observations of a whole batch give the bits of one event after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden import batched, kernels
from golden.compiled import compiled
from golden.config import DeviceConfig
from golden.device import Device

LARGE = DeviceConfig(inputs=600, groups=4, group_size=5, actions=3)
BATCH = 150

TIGHT = {"acc_bits": 20, "acc_frac": 14}
"""Accumulators that saturate."""


def device(config: DeviceConfig) -> Device:
    """A device with any parameters, and accumulators near their ends."""
    rng = np.random.default_rng(1)
    made = Device(config)
    weight = rng.integers(-400, 400, (config.sources, config.neurons))
    weight[: config.neurons] = np.triu(weight[: config.neurons], 1) + np.triu(weight[: config.neurons], 1).T
    made.load("weight", weight * config.mask)
    made.load("bias", rng.integers(-400, 400, config.neurons))
    acc = rng.integers(config.accumulator.low, config.accumulator.high, weight.shape, endpoint=True)
    acc[: config.neurons] = np.triu(acc[: config.neurons], 1) + np.triu(acc[: config.neurons], 1).T
    made.load("acc", acc * config.mask)
    return made


def course(config: DeviceConfig, rule: str, zeros: float = 0.3) -> dict[str, Any]:
    """Decisions, samples and what they leave."""
    rng = np.random.default_rng(2)
    obs = rng.integers(config.obs.low, config.obs.high, (BATCH, config.inputs), endpoint=True)
    obs[rng.random(obs.shape) < zeros] = 0
    made, nonce = device(config), np.arange(BATCH, dtype=np.uint64)
    decided = made.infer(obs, nonce)
    learned = made.learn(
        obs, decided.winners, np.where(rng.random(BATCH) < 0.2, 0, rng.integers(-500, 500, BATCH)), rule
    )
    return vars(decided) | {f"learn_{key}": value for key, value in vars(learned).items()} | {"acc": made.acc}


@pytest.mark.parametrize("zeros", [0.3, 0.8], ids=["dense", "sparse"])
@pytest.mark.parametrize("rule", ["published", "conditional", "contrastive"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"removed": "sa"}, {"removed": "sh"}, {"removed": "hhsa", "start": "uniform"}, {"acc_frac": 22}, TIGHT],
)
def test_both_ways_give_the_same_bits(
    rule: str, changes: dict[str, Any], zeros: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = LARGE.replace(**changes)
    assert batched.pays(config, BATCH)
    together = course(config, rule, zeros)
    monkeypatch.setattr(batched, "pays", lambda config, batch: False)
    alone = course(config, rule, zeros)
    assert together.keys() == alone.keys()
    for name, values in alone.items():
        assert np.array_equal(values, together[name]), name


def small_lesson(most: int, heavy: int) -> tuple[Any, ...]:
    """Observations, modulators and changes whose products are up to ``most``, in ``heavy`` samples 256 times that."""
    rng = np.random.default_rng(5)
    change = 1 << LARGE.activity_frac
    obs = rng.integers(-most // change, most // change, (BATCH, LARGE.inputs), endpoint=True, dtype=np.int32)
    modulator = np.where(np.arange(BATCH) < heavy, 1 << 8, 1)
    return obs, modulator * rng.choice([-1, 1], BATCH), rng.integers(-change, change, (BATCH, 23), endpoint=True)


@pytest.mark.parametrize("rounds_products", [False, True], ids=["fused", "not fused"])
@pytest.mark.parametrize("bits", [16, 21], ids=["small", "largest"])
@pytest.mark.parametrize(
    ("heavy", "floats"),
    [(0, ["float32"]), (BATCH, ["float64"]), (40, ["float32", "float64"]), (2, ["float32"])],
    ids=["light", "heavy", "some heavy", "few heavy"],
)
def test_samples_are_added_in_the_smallest_float_that_holds_them(
    heavy: int, floats: list[str], bits: int, rounds_products: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = kernels.constants(LARGE)
    low, high = constants.spans[kernels.OBSERVATION]
    limit = int(batched.largest_product(np.float32, constants.shift_obs))
    lesson = small_lesson(min(1 << bits, limit - 256), heavy)
    rows = compiled(batched.accumulate_tiles.py_func) if rounds_products else batched.accumulate_tiles
    used = []

    def watched(*arguments: Any) -> None:
        used.append(arguments[8].dtype.name)
        rows(*arguments)

    monkeypatch.setattr(batched, "accumulate_tiles", watched)
    acc = np.arange(-LARGE.inputs * 23 // 2, LARGE.inputs * 23 // 2, dtype=np.int32).reshape(LARGE.inputs, 23)
    one_by_one, together = acc.copy(), acc.copy()
    obs, modulator, changes = lesson
    scaled = (obs * modulator[:, None]).T.copy()
    ends = (constants.acc_low, constants.acc_high)
    batched.accumulate_events(one_by_one, scaled, changes, low, high, constants.shift_obs, *ends)
    batched.accumulate_observations(constants, together, *lesson)
    assert used == floats
    assert np.array_equal(one_by_one, together) and not np.array_equal(acc, together)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("container", [np.int16, np.int32])
@pytest.mark.parametrize("inputs", [1, 33, 600])
@pytest.mark.parametrize("samples", [1, batched.ROWS, batched.ROWS + 1])
def test_products_are_exact(samples: int, inputs: int, container: Any, kind: Any) -> None:
    rng = np.random.default_rng(6)
    obs = rng.integers(-2048, 2047, (samples, inputs), endpoint=True).astype(container)
    columns = rng.integers(-1000, 1000, (13, inputs), endpoint=True).astype(container)
    expected = obs.astype(np.int64) @ columns.T.astype(np.int64)
    assert np.array_equal(batched.products(batched.aligned(obs), batched.aligned(columns), kind), expected)


def test_what_a_narrow_sum_carries_over_on_the_way_comes_back() -> None:
    obs = np.array([[-(1 << 15)] * 6], dtype=np.int16)
    columns = np.array([[-(1 << 15)] * 3 + [(1 << 15) - 1] * 3], dtype=np.int16)
    assert batched.products(obs, columns, np.int32).tolist() == [[3 << 15]]


@pytest.mark.parametrize("inputs", [1 << 10, 1 << 12])
def test_sums_are_as_wide_as_their_rows_need(inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = LARGE.replace(inputs=inputs)
    made, nonce = device(config), np.arange(batched.FEWEST_SAMPLES, dtype=np.uint64)
    obs = np.full((len(nonce), inputs), config.obs.low)
    weight = np.zeros((config.sources, config.neurons), dtype=np.int64)
    # Their sum over 1 << 10 observations has 31 bits, so does its bound; four times that has 33.
    weight[config.neurons :] = -(1 << 9)
    made.load("weight", weight * config.mask)
    used = []

    def watched(*arguments: Any) -> Any:
        used.append(arguments[2])
        return products(*arguments)

    products = batched.products
    monkeypatch.setattr(batched, "products", watched)
    alone = [made.infer(obs[[b]], nonce[[b]]).q_raw[0] for b in range(len(obs))]
    assert np.array_equal(made.infer(obs, nonce).q_raw, alone)
    assert used == [np.int32 if inputs == 1 << 10 else np.int64]


def test_accumulators_saturate_on_the_way() -> None:
    config = LARGE.replace(**TIGHT)
    before, after = device(config).acc, course(config, "contrastive")["acc"]
    for end in (config.accumulator.low, config.accumulator.high):
        assert (after == end).sum() > (before == end).sum()


def test_what_was_computed_before_counts_only_for_the_same_weights_and_observations() -> None:
    rng = np.random.default_rng(3)
    made, nonce = device(LARGE), np.arange(BATCH, dtype=np.uint64)
    obs = rng.integers(LARGE.obs.low, LARGE.obs.high, (BATCH, LARGE.inputs), endpoint=True)

    def now() -> Any:
        fresh = Device(LARGE)
        fresh.load("weight", made.weight)
        fresh.load("bias", made.bias)
        again, known = fresh.infer(obs, nonce), made.infer(obs, nonce)
        assert np.array_equal(known.q_raw, again.q_raw)
        return known.q_raw

    first = now()
    assert np.array_equal(now(), first)
    obs[5] = -obs[5]
    second = now()
    assert not np.array_equal(second, first)
    made.weight[-1, ::2] += 300
    assert not np.array_equal(now(), second)


def test_small_devices_and_batches_go_event_by_event() -> None:
    assert not batched.pays(LARGE.replace(inputs=100), BATCH)
    assert not batched.pays(LARGE, 1)
    assert not batched.pays(LARGE.replace(mode="spike"), BATCH)


def test_the_widest_formats_are_exact() -> None:
    wide = LARGE.replace(inputs=1 << 13, weight_bits=24, obs_bits=18)
    made, rng = device(wide), np.random.default_rng(4)
    assert made.weight.dtype == wide.obs.container == np.int32
    weight = rng.integers(wide.weight.high - 9, wide.weight.high, (wide.sources, wide.neurons), endpoint=True)
    weight[: wide.neurons] = 0
    made.load("weight", weight * wide.mask)
    # All sums are nearly as large as they can be, and alike: the potentials' last bits decide.
    obs = rng.integers(wide.obs.high - 9, wide.obs.high, (batched.FEWEST_SAMPLES, wide.inputs), endpoint=True)
    assert batched.pays(wide, len(obs))
    nonce = np.arange(len(obs), dtype=np.uint64)
    alone = [made.infer(obs[[b]], nonce[[b]]).q_raw[0] for b in range(len(obs))]
    assert np.array_equal(made.infer(obs, nonce).q_raw, alone)
    low, high = made._constants.spans[kernels.OBSERVATION]
    expected = obs.astype(object) @ weight[wide.neurons :, low:high].astype(object) * 2**made._constants.obs_shift
    assert np.array_equal(made._driven(obs.astype(np.int32))[:, low:high], expected)
