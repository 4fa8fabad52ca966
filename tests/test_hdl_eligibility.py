"""The eligibility of a sample against golden, on Verilator."""

from __future__ import annotations

import random

import pytest

from golden.arguments import RULES
from golden.config import REMOVABLE, DeviceConfig
from golden.errors import SvpgError
from hdl.eligibility import Eligibility
from sim.bench.learning_designs import EligibilityWithMemory
from sim.bench.run import run

MANY_WORDS = DeviceConfig(inputs=3, groups=3, group_size=3, actions=4, lanes=5)
ONE_WORD = DeviceConfig(
    inputs=2,
    groups=2,
    group_size=4,
    actions=3,
    lanes=12,
    removed="hhsa",
    activity_frac=5,
    acc_bits=24,
    acc_frac=12,
    grad_bits=14,
    moment_frac=18,
)

# Rules of traces; the published one adds up a mean over a window.
SPIKING = MANY_WORDS.replace(mode="spike", steps=9, window=8)


def check(config: DeviceConfig, lanes: int, products: int, rules: list[str], rounds: int, seed: int) -> None:
    run(
        EligibilityWithMemory(config, lanes=lanes, products=products, rules=frozenset(rules)),
        "sim.bench.eligibility",
        config=config,
        lanes=lanes,
        products=products,
        rules=rules,
        rounds=rounds,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("config", "lanes", "products", "rules"),
    [
        (MANY_WORDS, 2, 2, list(RULES)),
        (MANY_WORDS, 3, 1, list(RULES)),
        (ONE_WORD, 4, 2, ["contrastive"]),
        (SPIKING, 2, 2, ["published", "contrastive"]),
    ],
    ids=["two-products", "one-product", "contrastive-alone", "spiking"],
)
def test_eligibilities_equal_golden(config: DeviceConfig, lanes: int, products: int, rules: list[str]) -> None:
    check(config, lanes, products, rules, rounds=12, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("removed", REMOVABLE)
@pytest.mark.parametrize("products", [1, 2])
def test_eligibilities_of_any_configuration(removed: str, products: int) -> None:
    rng = random.Random(f"{removed} {products}")
    config = DeviceConfig(
        inputs=rng.randint(1, 5),
        groups=rng.randint(1, 4),
        group_size=rng.randint(2, 5),
        actions=rng.randint(2, 6),
        lanes=rng.randint(3, 11),
        activity_frac=rng.randint(4, 10),
        removed=removed,
    )
    check(config, rng.randint(1, 3), products, list(RULES), rounds=30, seed=2)


def test_one_or_two_products_per_lane() -> None:
    with pytest.raises(SvpgError, match="products = 3 is not possible; give 1 or 2"):
        Eligibility(ONE_WORD, lanes=1, products=3, rules=frozenset(RULES))
