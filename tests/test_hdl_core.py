"""The core against golden, frame by frame, on Verilator."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any

import pytest
from amaranth.back import verilog

from golden.config import OBS_SPIKES, REMOVABLE, STARTS, DeviceConfig
from golden.errors import SvpgError
from hdl.core import Core
from hdl.decision import first_sampled_pass
from hdl.device import device
from hdl.options import CoreOptions
from host.tasks import get_task
from sim.bench.course import LEARNING, PENDULUM, SPIKE_LEARNING, SPIKING, WIDE, Course
from sim.bench.run import run


def check(course: Course, **more: Any) -> None:
    how_much = {name: getattr(course, name) for name in ("decisions", "frames", "resets", "seed")}
    if course.policy is not None:
        how_much["policy"] = course.policy
    component = device(course.config, course.options)
    run(component, "sim.bench.core", config=course.config, options=vars(course.options), **how_much, **more)


def test_the_pendulum_core_equals_golden() -> None:
    check(PENDULUM)


def test_a_core_of_wide_values_equals_golden() -> None:
    check(WIDE)


def test_a_core_that_learns_equals_golden() -> None:
    check(LEARNING)


@pytest.mark.slow
def test_a_core_whose_learning_has_multipliers_of_its_own_equals_golden() -> None:
    options = dataclasses.replace(LEARNING.options, shared=False, products=1)
    check(dataclasses.replace(LEARNING, options=options, decisions=20, frames=40, resets=10), complete=False)


@pytest.mark.parametrize("banked", [False, True])
def test_a_core_that_takes_several_row_words_per_cycle_and_learns_one_equals_golden(banked: bool) -> None:
    options = dataclasses.replace(LEARNING.options, shared=False, words=2, banked=banked)
    config = LEARNING.config.replace(lanes=4)
    assert config.row_words == 4
    course = dataclasses.replace(LEARNING, config=config, options=options, decisions=15, frames=40, resets=10)
    check(course, complete=False)


def test_a_core_whose_weights_come_from_banks_equals_golden() -> None:
    options = dataclasses.replace(LEARNING.options, banked=True)
    check(dataclasses.replace(LEARNING, options=options, decisions=15, frames=40, resets=10), complete=False)


def test_a_core_of_spikes_equals_golden() -> None:
    check(SPIKING)


def test_a_core_that_learns_from_spikes_equals_golden() -> None:
    check(SPIKE_LEARNING)


def random_config(rng: random.Random, removed: str) -> DeviceConfig:
    """Sizes, formats, lanes and iterations anywhere in the ranges of small devices."""
    while True:
        try:
            return DeviceConfig(
                inputs=rng.choice((1, 2, rng.randint(3, 20), rng.randint(50, 100))),
                groups=rng.randint(1, 6),
                group_size=rng.randint(2, 16),
                actions=rng.randint(2, 18),
                removed=removed,
                iterations=rng.choice((1, 2, 3, 4, 8)),
                start=rng.choice(STARTS),
                weight_bits=rng.choice((4, 8, 12, 16, 17, 24)),
                weight_frac=rng.randint(0, 12),
                obs_bits=rng.choice((2, 8, 12, 16, 18)),
                obs_frac=rng.randint(0, 10),
                activity_frac=rng.randint(4, 14),
                prob_frac=rng.randint(8, 16),
                exp_index_bits=rng.randint(4, 11),
                acc_frac=rng.randint(4, 10),
                moment_frac=8,
                lanes=rng.randint(1, 40),
            )
        except SvpgError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_any_core_equals_golden(removed: str, seed: int) -> None:
    rng = random.Random(f"{removed} {seed}")
    config = random_config(rng, removed)
    options = CoreOptions(
        softmax_lanes=rng.randint(1, min(config.lanes, 9)),
        rounds_per_cycle=rng.choice((1, 2, 4, 20)),
        in_logic=rng.random() < 0.5,
        banked=rng.random() < 0.5,
    )
    check(Course(config, options, decisions=40, frames=80, resets=25, seed=seed), complete=False)


def random_spikes(rng: random.Random, removed: str) -> DeviceConfig:
    """The same in spike mode."""
    while True:
        config = random_config(rng, removed)
        window = rng.choice((1, 2, 4, 8))
        try:
            return config.replace(
                mode="spike",
                start="silent",
                prob_frac=min(config.prob_frac, 15),
                window=window,
                steps=window + rng.choice((0, 1, rng.randint(2, 5))),
                obs_spikes=rng.choice(OBS_SPIKES),
            )
        except SvpgError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize("learns", [False, True], ids=["decides", "learns"])
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_any_core_of_spikes_equals_golden(removed: str, learns: bool) -> None:
    rng = random.Random(f"spikes {removed} {learns}")
    config = random_spikes(rng, removed)
    options = CoreOptions(
        softmax_lanes=rng.randint(1, min(config.lanes, 9)),
        rounds_per_cycle=rng.choice((1, 2, 4, 20)),
        pipelined=rng.random() < 0.5,
        in_logic=rng.random() < 0.5,
        products=rng.choice((1, 2)),
        shared=rng.random() < 0.5,
    )
    course = Course(config, options.learning() if learns else options, decisions=8, frames=40, resets=25, seed=1)
    check(course, complete=False)


def test_winners_are_drawn_in_every_pass_that_may_be_the_last() -> None:
    assert first_sampled_pass(PENDULUM.config) == 2
    assert first_sampled_pass(PENDULUM.config.replace(iterations=1)) == 1
    assert first_sampled_pass(PENDULUM.config.replace(start="uniform")) == 1
    # 64 equal activities with 4 fraction bits are rounded to 0: the first pass changes nothing.
    assert first_sampled_pass(PENDULUM.config.replace(group_size=64, activity_frac=4, acc_frac=8, moment_frac=16)) == 1


def test_the_pendulum_fits_72_multipliers() -> None:
    config = get_task("inverted-pendulum").defaults("golden", "ppo").network
    options = CoreOptions.within(config, 72)
    assert config.row_words == 1 and options.multipliers(config) == 72
    text = verilog.convert(Core(config, options), name="top", emit_src=False)
    # Multiplications by a constant are shifts and adders.
    assert len(re.findall(r" = [^;']* \* [^;']*;", text)) == 72


def test_too_few_multipliers_are_refused() -> None:
    with pytest.raises(SvpgError, match="set lanes to 63 at most"):
        CoreOptions.within(PENDULUM.config, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CoreOptions(softmax_lanes=0), "give 1 to 69"),
        (CoreOptions(softmax_lanes=70), "give 1 to 69"),
        (CoreOptions(rounds_per_cycle=3), "choose 1, 2, 4 or 20"),
    ],
)
def test_options_that_are_not_possible_are_refused(options: CoreOptions, message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        Core(PENDULUM.config, options)
