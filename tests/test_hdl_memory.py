"""The memories of weights, accumulators and second moments, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl import verilog
from hdl.memory import RowMemory, row_address, row_addresses
from sim.bench.designs import MemoryWithStreams
from sim.bench.run import run

ONE_WORD = DeviceConfig(inputs=3, groups=1, group_size=2, actions=2, lanes=5, weight_bits=7, moment_bits=25)
MANY_WORDS = DeviceConfig(inputs=2, groups=2, group_size=4, actions=3, lanes=4)
FOUR_WORDS = MANY_WORDS.replace(lanes=3)


def check(
    config: DeviceConfig,
    section: Section,
    rounds: int,
    transfers: int,
    seed: int,
    words: int = 1,
    bank_words: int = 0,
) -> None:
    run(
        MemoryWithStreams(config, section, words, bank_words),
        "sim.bench.memory",
        config=config,
        section=section.name,
        words=words,
        bank_words=bank_words,
        rounds=rounds,
        transfers=transfers,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("config", "section", "words", "bank_words"),
    [
        (ONE_WORD, Section.MOMENT, 1, 0),
        (MANY_WORDS, Section.WEIGHT, 1, 0),
        (MANY_WORDS, Section.WEIGHT, 1, 8),
        (FOUR_WORDS, Section.WEIGHT, 2, 0),
        (FOUR_WORDS, Section.WEIGHT, 2, 16),
        (FOUR_WORDS, Section.WEIGHT, 2, 64),
    ],
    ids=["one-word", "many-words", "banks", "two-at-once", "two-at-once-from-banks", "two-at-once-from-a-bank"],
)
def test_row_words_are_read_as_they_were_loaded(
    config: DeviceConfig, section: Section, words: int, bank_words: int
) -> None:
    check(config, section, rounds=2, transfers=80, seed=1, words=words, bank_words=bank_words)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_row_words_of_any_configuration(seed: int) -> None:
    rng = random.Random(seed)
    config = DeviceConfig(
        inputs=rng.randint(1, 20),
        groups=rng.randint(1, 4),
        group_size=rng.randint(2, 9),
        actions=rng.randint(2, 9),
        lanes=rng.randint(1, 20),
        weight_bits=rng.randint(4, 24),
        weight_frac=rng.randint(0, 4),
    )
    check(config, rng.choice(list(Section)), rounds=10, transfers=300, seed=seed)


def test_every_row_word_has_an_address_of_its_own() -> None:
    for config in (ONE_WORD, MANY_WORDS):
        found = [
            row_address(config, row, word) for row in range(config.sources + 1) for word in range(config.row_words)
        ]
        assert found == list(row_addresses(config))


def test_verilog_does_not_grow_with_the_rows() -> None:
    small, large = (
        verilog.convert(
            RowMemory(DeviceConfig(inputs=inputs, groups=20, group_size=10, actions=10), Section.ACC), "top"
        )
        for inputs in (32, 784)
    )
    assert len(large) < 1.02 * len(small)
    assert small.count("module zeroed_memory") == 1
