"""The event engine against golden, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.config import REMOVABLE, DeviceConfig
from golden.errors import SvpgError
from golden.modes import MODES
from hdl.engine import EventEngine, scan_beats
from sim.bench.designs import EngineWithMemory
from sim.bench.run import run

PENDULUM = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5)
# Rows of one word; and rows of several, with beats across their boundaries, spans that end with a word, and one that
# begins late.
ONE_WORD = DeviceConfig(inputs=5, groups=2, group_size=5, actions=3, lanes=16, activity_frac=10)
MANY_WORDS = DeviceConfig(inputs=3, groups=4, group_size=5, actions=6, lanes=4, removed="hhsa", weight_bits=8)
# Four words, two of which the engine takes at once.
TWO_AT_ONCE = MANY_WORDS.replace(lanes=7)
SPIKES = MANY_WORDS.replace(mode="spike", removed="none")


def check(
    config: DeviceConfig,
    scan_lanes: int,
    decisions: int,
    events: int,
    resets: int,
    seed: int,
    bank_words: int = 0,
    words: int = 1,
) -> None:
    run(
        EngineWithMemory(config, scan_lanes=scan_lanes, bank_words=bank_words, words=words),
        "sim.bench.engine",
        config=config,
        scan_lanes=scan_lanes,
        bank_words=bank_words,
        words=words,
        decisions=decisions,
        events=events,
        resets=resets,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("config", "scan_lanes", "bank_words", "words"),
    [
        (ONE_WORD, 2, 0, 1),
        (MANY_WORDS, 3, 0, 1),
        (MANY_WORDS, 3, 32, 1),
        (TWO_AT_ONCE, 3, 0, 2),
        (TWO_AT_ONCE, 3, 64, 2),
        (SPIKES, 3, 0, 1),
    ],
    ids=["one-word", "many-words", "banks", "two-at-once", "two-at-once-from-a-bank", "spikes"],
)
def test_potentials_equal_golden(config: DeviceConfig, scan_lanes: int, bank_words: int, words: int) -> None:
    check(config, scan_lanes, decisions=6, events=60, resets=20, seed=1, bank_words=bank_words, words=words)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_potentials_equal_golden_with_connections_removed(removed: str, mode: str) -> None:
    rng = random.Random(f"{removed} {mode}")
    config = DeviceConfig(
        inputs=rng.randint(1, 9),
        groups=rng.randint(1, 4),
        group_size=rng.randint(2, 9),
        actions=rng.randint(2, 9),
        lanes=rng.randint(1, 9),
        removed=removed,
        mode=mode,
    )
    check(config, rng.randint(1, config.lanes), decisions=20, events=150, resets=100, seed=2)


@pytest.mark.slow
def test_potentials_of_the_pendulum_net_equal_golden() -> None:
    check(PENDULUM, 4, decisions=20, events=150, resets=100, seed=3)


@pytest.mark.parametrize("scan_lanes", [0, 5])
def test_beats_that_do_not_fit_are_refused(scan_lanes: int) -> None:
    with pytest.raises(SvpgError, match="give 1 to 4"):
        EventEngine(MANY_WORDS, scan_lanes=scan_lanes)


def test_a_scan_covers_every_neuron_once_in_order() -> None:
    for config, lanes in ((PENDULUM, 4), (ONE_WORD, 2), (MANY_WORDS, 3)):
        columns = [
            beat.word * config.lanes + beat.offset + lane
            for beat in scan_beats(config, lanes)
            for lane in range(beat.size)
        ]
        assert columns == list(range(config.neurons))
