"""The update of all memories against golden, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.arguments import OPTIMISERS
from golden.config import DeviceConfig
from golden.protocol import Abilities
from hdl.update import Updater
from sim.bench.learning_designs import UpdaterWithMemories
from sim.bench.run import run

MANY_WORDS = DeviceConfig(inputs=2, groups=2, group_size=3, actions=3, lanes=4, removed="sa")
ODD = DeviceConfig(
    inputs=1,
    groups=1,
    group_size=2,
    actions=2,
    lanes=5,
    weight_bits=9,
    weight_frac=4,
    acc_bits=27,
    acc_frac=12,
    # So few that the coarsest grid rounds every gradient to zero.
    grad_bits=11,
    moment_bits=20,
    moment_frac=16,
)


def check(config: DeviceConfig, optimisers: list[str], updates: int, seed: int, bank_words: int = 0) -> None:
    abilities = Abilities(frozenset({"published"}), frozenset(optimisers))
    run(
        UpdaterWithMemories(config, abilities, bank_words),
        "sim.bench.update",
        config=config,
        optimisers=optimisers,
        bank_words=bank_words,
        updates=updates,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("config", "optimisers", "bank_words"),
    [(MANY_WORDS, sorted(OPTIMISERS), 0), (ODD, ["sgd", "sign"], 0), (ODD, ["sign"], 8)],
    ids=["all", "without-moments", "of-banks"],
)
def test_updates_equal_golden(config: DeviceConfig, optimisers: list[str], bank_words: int) -> None:
    check(config, optimisers, updates=25, seed=1, bank_words=bank_words)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("seed", range(3))
def test_updates_of_any_configuration(optimiser: str, seed: int) -> None:
    rng = random.Random(seed)
    config = (MANY_WORDS, ODD)[seed % 2].replace(
        groups=rng.randint(1, 3),
        group_size=rng.randint(2, 5),
        lanes=rng.randint(1, 9),
        weight_bits=rng.randint(8, 18),
        acc_bits=rng.randint(24, 34),
        grad_bits=rng.randint(12, 18),
    )
    check(config, [optimiser], updates=60, seed=seed)


def test_every_optimiser_has_its_latency() -> None:
    def latency(*optimisers: str) -> int:
        return Updater(ODD, Abilities(frozenset({"published"}), frozenset(optimisers))).latency

    assert (latency("sign"), latency("sgd"), latency("sgd", "sign"), latency("rmsprop")) == (5, 8, 8, 13)
