"""The random generator: published vectors, and statistics that a poor generator fails."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.config import DRAW_BITS, DeviceConfig
from golden.device import Device
from golden.rng import DRAWS_PER_BLOCK, STREAM_START, STREAM_WINNERS, draws, threefry2x32
from tests.oracle import Oracle, draw, threefry

KNOWN = [
    # key, counter, result: Threefry-2x32-20 of the Random123 distribution's kat_vectors.
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
LIMIT = 5.0
"""Standard deviations that a fair generator exceeds once in a million tests."""


def chi_square_deviation(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Chi-square of counts, as standard deviations from its mean: large when uneven, very negative when too even."""
    degrees = counts.size - 1
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    return (chi_square - degrees) / np.sqrt(2.0 * degrees)


def uniformity(values: NDArray[np.int64], cells: int) -> float:
    """:func:`chi_square_deviation` of values that should be uniform over 0 .. cells - 1."""
    counts = np.bincount(values.ravel(), minlength=cells)
    return chi_square_deviation(counts, np.full(cells, values.size / cells))


def independence(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Uniformity of the pairs of the top four bits of two sequences of draws."""
    return uniformity((a >> (DRAW_BITS - 4) << 4) | (b >> (DRAW_BITS - 4)), 256)


@pytest.fixture(scope="module")
def table() -> NDArray[np.int64]:
    """Draws of 2**15 consecutive nonces, 12 groups each."""
    return draws(np.arange(1 << 15, dtype=np.uint64), 12)


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN)
def test_known_answers(key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]) -> None:
    words = threefry2x32(*key, *counter)
    assert (int(words[0]), int(words[1])) == expected
    assert threefry(key, counter) == expected


def test_draws_follow_the_text_for_nonces_of_64_bits() -> None:
    nonces = np.array([0, 1, 0xFFFFFFFF, 1 << 32, 0x0123456789ABCDEF, 2**64 - 1], dtype=np.uint64)
    for stream in (STREAM_WINNERS, STREAM_START, 0xFFFFFFFF):
        expected = [[draw(int(nonce), d, stream) for d in range(11)] for nonce in nonces]
        assert draws(nonces, 11, stream).tolist() == expected


def test_a_draw_does_not_depend_on_how_many_or_which_others_are_asked_for() -> None:
    nonces = np.arange(50, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    everything = draws(nonces, 9)
    for count in range(1, 9):
        assert np.array_equal(draws(nonces, count), everything[:, :count])
    assert np.array_equal(draws(nonces[::-1], 9), everything[::-1])


@pytest.mark.parametrize("low_bit", [0, 8])
def test_both_bytes_of_every_group_are_uniform(table: NDArray[np.int64], low_bit: int) -> None:
    for group in range(table.shape[1]):
        assert abs(uniformity((table[:, group] >> low_bit) & 0xFF, 256)) < LIMIT


def test_every_bit_is_balanced(table: NDArray[np.int64]) -> None:
    ones = np.array([((table >> bit) & 1).sum() for bit in range(DRAW_BITS)])
    deviations = (ones - table.size / 2) / np.sqrt(table.size / 4)
    assert np.abs(deviations).max() < LIMIT


@pytest.mark.parametrize("distance", [1, 2, 3, DRAWS_PER_BLOCK, DRAWS_PER_BLOCK + 1])
def test_groups_of_one_decision_are_independent(table: NDArray[np.int64], distance: int) -> None:
    for group in range(table.shape[1] - distance):
        assert abs(independence(table[:, group], table[:, group + distance])) < LIMIT


@pytest.mark.parametrize("offset", [1, 2, 64, 1 << 14])
def test_neighbouring_nonces_are_independent(table: NDArray[np.int64], offset: int) -> None:
    assert abs(independence(table[:-offset], table[offset:])) < LIMIT


@pytest.mark.parametrize("flip", [1 << 32, 1 << 63, (1 << 32) | 1])
def test_nonces_that_differ_in_the_high_word_are_independent(table: NDArray[np.int64], flip: int) -> None:
    other = draws(np.arange(1 << 15, dtype=np.uint64) ^ np.uint64(flip), 12)
    assert abs(independence(table, other)) < LIMIT


def test_streams_are_independent(table: NDArray[np.int64]) -> None:
    other = draws(np.arange(1 << 15, dtype=np.uint64), 12, STREAM_START)
    assert abs(independence(table, other)) < LIMIT
    assert abs(uniformity(other & 0xFF, 256)) < LIMIT


def test_each_bit_of_the_nonce_turns_half_of_the_bits() -> None:
    nonces = draws(np.arange(4096, dtype=np.uint64), 4).astype(np.uint64)
    nonces = nonces @ (np.uint64(1) << np.array([0, 16, 32, 48], dtype=np.uint64))
    base = draws(nonces, 4)
    for bit in range(64):
        turned = np.bitwise_count(base ^ draws(nonces ^ np.uint64(1 << bit), 4)).sum()
        total = base.size * DRAW_BITS
        assert abs(turned - total / 2) / np.sqrt(total / 4) < LIMIT, f"nonce bit {bit}"


def test_linear_correlation_between_groups_vanishes(table: NDArray[np.int64]) -> None:
    correlation = np.corrcoef(table, rowvar=False)
    off_diagonal = correlation[~np.eye(table.shape[1], dtype=bool)]
    assert np.abs(off_diagonal).max() < LIMIT / np.sqrt(table.shape[0])


def test_the_statistics_reject_poor_generators() -> None:
    counter = np.arange(1 << 15)
    assert abs(uniformity(counter & 0xFF, 256)) > LIMIT, "a counter is far too even"
    congruential = (counter * 1103515245 + 12345) >> 8 & 0xFFFF
    assert abs(independence(congruential[:-1], congruential[1:])) > LIMIT, "consecutive nonces must not look related"
    fair = draws(counter.astype(np.uint64), 1)[:, 0]
    assert uniformity(np.where(fair < 3000, fair // 2, fair) >> 8, 256) > LIMIT, "a bias of a few per cent shows"


# --- winners ---------------------------------------------------------------------------------------
SAMPLES = 1 << 16


@pytest.fixture(scope="module")
def sampled() -> tuple[DeviceConfig, NDArray[np.int64], Oracle]:
    """Winners of one observation under many nonces; the net has no recurrent weights."""
    config = DeviceConfig(inputs=1, groups=5, group_size=6, actions=4, iterations=1)
    device, oracle = Device(config), Oracle(config)
    bias = np.random.default_rng(3).normal(0, 1.2 * 2**config.weight_frac, config.neurons).round().astype(np.int64)
    device.load("bias", bias)
    oracle.load("bias", bias.tolist())
    result = device.infer(np.zeros((SAMPLES, 1), dtype=np.int64), np.arange(SAMPLES, dtype=np.uint64), "sample")
    return config, result.winners, oracle


def test_winners_follow_the_softmax_terms(sampled: tuple[DeviceConfig, NDArray[np.int64], Oracle]) -> None:
    config, winners, oracle = sampled
    u = oracle.potentials([0], [0] * config.neurons)
    for group in range(config.groups + 1):
        terms = oracle.group_softmax(u, group)
        counts = np.bincount(winners[:, group], minlength=len(terms.e))
        expected = np.array(terms.e) / terms.total * SAMPLES
        assert abs(chi_square_deviation(counts, expected)) < LIMIT
        shifted = np.roll(expected, 1)
        assert chi_square_deviation(counts, shifted) > LIMIT, "the test tells neighbours apart"


def test_winners_of_different_groups_are_independent(
    sampled: tuple[DeviceConfig, NDArray[np.int64], Oracle],
) -> None:
    config, winners, _ = sampled
    for a in range(config.groups + 1):
        for b in range(a):
            pairs = np.zeros((config.group_size, config.group_size))
            np.add.at(pairs, (winners[:, a], winners[:, b]), 1)
            pairs = pairs[pairs.sum(1) > 0][:, pairs.sum(0) > 0]
            expected = np.outer(pairs.sum(1), pairs.sum(0)) / SAMPLES
            degrees = (pairs.shape[0] - 1) * (pairs.shape[1] - 1)
            chi_square = ((pairs - expected) ** 2 / expected).sum()
            assert abs(chi_square - degrees) / np.sqrt(2 * degrees) < LIMIT


def test_winners_of_consecutive_nonces_are_independent(
    sampled: tuple[DeviceConfig, NDArray[np.int64], Oracle],
) -> None:
    _, winners, _ = sampled
    for group in range(winners.shape[1]):
        now, later = winners[:-1, group].astype(float), winners[1:, group].astype(float)
        assert abs(np.corrcoef(now, later)[0, 1]) < LIMIT / np.sqrt(SAMPLES)
