"""What a decision costs: predictions equal the counters of the hardware, bounds hold, units work as predicted."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.arguments import POLICIES
from golden.client import FrameDevice
from golden.config import REMOVABLE, DeviceConfig
from golden.device import Device, Ints
from golden.parameters import Parameters, to_octaves
from golden.protocol import Command
from hdl.layouts import all_beats
from hdl.memory import ROW_BLOCK, row_addresses
from hdl.options import CoreOptions
from host.tasks import get_task
from sim.bench.frames import FrameMaker, frame, load_frames, random_parameters
from sim.cost import bound, ceiling, courses, predict
from sim.device import core_library
from sim.model import VerilatedModel
from sim.timeline import record
from tests.test_hdl_core import random_config

POLICY = Path(__file__).parent / "data" / "pendulum_policy.npz"
PENDULUM = get_task("inverted-pendulum").defaults("golden", "ppo").network
PENDULUM_OPTIONS = CoreOptions.within(PENDULUM, 72)
# Few events leave the generator of draws behind; rows of four words, two of which inference takes per cycle.
HASTY = DeviceConfig(inputs=3, groups=24, group_size=2, actions=5, removed="hh", lanes=14, iterations=3)
HASTY_OPTIONS = CoreOptions(softmax_lanes=2, words=2)
# More row words than a bank has.
BANKED = DeviceConfig(inputs=300, groups=3, group_size=5, actions=4, lanes=5)
BANKED_OPTIONS = CoreOptions(softmax_lanes=2, banked=True)
# Many beats and events of many words fill the queues of the softmax.
CROWDED = DeviceConfig(inputs=3, groups=24, group_size=4, actions=5, lanes=10, iterations=2)
CROWDED_OPTIONS = CoreOptions(softmax_lanes=2)
SMALL = DeviceConfig(inputs=3, groups=3, group_size=5, actions=4, start="uniform", lanes=6, iterations=3)
SMALL_OPTIONS = CoreOptions(softmax_lanes=2, rounds_per_cycle=4)


@dataclass
class Batch:
    """Decisions of one policy."""

    obs: Ints
    nonce: NDArray[np.uint64]
    policy: str
    given: Ints | None


def batches(config: DeviceConfig, rng: random.Random, count: int, visited: Ints | None = None) -> list[Batch]:
    """Some decisions of every kind."""
    make, found = FrameMaker(config, rng, visited), []
    for policy in (*POLICIES, "given"):
        obs = np.array([make.observation() for _ in range(count)])
        nonce = np.array([rng.getrandbits(64) for _ in range(count)], dtype=np.uint64)
        winners = None
        if policy == "given":
            policy = "conditional"
            winners = np.array([[rng.randrange(config.group_size) for _ in range(config.groups)] + [0] for _ in obs])
        found.append(Batch(obs, nonce, policy, winners))
    return found


def golden_with(config: DeviceConfig, weight: Ints, bias: Ints) -> Device:
    """The model with parameters."""
    device = Device(config)
    device.load("weight", weight)
    device.load("bias", bias)
    return device


def trained() -> tuple[Ints, Ints]:
    """The trained pendulum's parameters."""
    weight, bias = to_octaves(PENDULUM, Parameters.load(POLICY))
    return np.asarray(weight, dtype=np.int64), np.asarray(bias, dtype=np.int64)


def visited(count: int) -> Ints:
    """Observations it has met."""
    with np.load(POLICY) as archive:
        return PENDULUM.obs.quantise(archive["visited_obs"][:count])


def nets(config: DeviceConfig, rng: random.Random) -> list[tuple[Ints, Ints]]:
    """Parameters of all kinds."""
    return [random_parameters(config, rng, kind) for kind in ("zero", "small", "any", "ends")]


def check(
    config: DeviceConfig,
    options: CoreOptions,
    parameters: list[tuple[Ints, Ints]],
    rng: random.Random,
    count: int,
    visited: Ints | None = None,
) -> None:
    """Cycles and stalls of the compiled core are as predicted, decision by decision."""
    hardware = FrameDevice(config, VerilatedModel(core_library(config, options)))
    for weight, bias in parameters:
        golden = golden_with(config, weight, bias)
        hardware.load("weight", weight)
        hardware.load("bias", bias)
        for batch in batches(config, rng, count, visited):
            counted = hardware.infer(batch.obs, batch.nonce, batch.policy, batch.given, activity=False)
            expected = [
                predict(config, options, course)
                for course in courses(golden, options, batch.obs, batch.nonce, batch.policy, batch.given)
            ]
            assert counted.cycles.tolist() == [cost.cycles for cost in expected], batch.policy
            assert counted.stalls.tolist() == [cost.stalls for cost in expected], batch.policy


# --- predictions -------------------------------------------------------------------------------------------
def test_the_cost_of_pendulum_decisions_is_predicted() -> None:
    rng = random.Random(1)
    check(PENDULUM, PENDULUM_OPTIONS, [trained(), random_parameters(PENDULUM, rng, "small")], rng, 50, visited(200))


def test_the_cost_of_decisions_that_wait_for_draws_is_predicted() -> None:
    rng = random.Random(2)
    check(HASTY, HASTY_OPTIONS, nets(HASTY, rng), rng, 20)


def test_the_cost_of_decisions_on_banks_is_predicted() -> None:
    assert len(row_addresses(BANKED)) > ROW_BLOCK
    rng = random.Random(7)
    check(BANKED, BANKED_OPTIONS, nets(BANKED, rng), rng, 10)


@pytest.mark.slow
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_the_cost_on_any_core_is_predicted(removed: str) -> None:
    rng = random.Random(f"cost {removed}")
    config = random_config(rng, removed)
    options = CoreOptions(rng.randint(1, min(config.lanes, 9)), rng.choice((1, 2, 4, 20)), banked=rng.random() < 0.5)
    check(config, options, nets(config, rng), rng, 50)


def test_courses_make_the_events_and_row_words_that_golden_counts() -> None:
    rng = random.Random(3)
    for removed in sorted(REMOVABLE) * 2:
        config = random_config(rng, removed)
        options = CoreOptions(rng.randint(1, min(config.lanes, 9)))
        golden = golden_with(config, *random_parameters(config, rng, "small"))
        for batch in batches(config, rng, 3):
            result = golden.infer(batch.obs, batch.nonce, batch.policy, batch.given)
            for row, course in enumerate(courses(golden, options, batch.obs, batch.nonce, batch.policy, batch.given)):
                busy = predict(config, options, course).busy
                assert len(busy["observations"]) + len(busy["moves"]) == result.row_words[row]
                assert len(busy["biases"]) == config.row_words
                assert len(course.passes) == result.iterations[row]
                assert len(busy["scan"]) >= result.iterations[row] * all_beats(config, options.softmax_lanes)


# --- the timeline ------------------------------------------------------------------------------------------
def check_timeline(
    config: DeviceConfig, options: CoreOptions, loads: list[list[int]], golden: Device, obs: Ints, policy: str
) -> None:
    """Every unit works in the cycles in which it is predicted to; ``loads`` bring golden's parameters."""
    words = frame(config, Command.INFER, POLICIES[policy], nonce=77, obs=obs.tolist())
    before = np.array([word for load in loads for word in load], dtype=np.uint32)
    seen = record(config, options, before, np.array(words, dtype=np.uint32))
    (course,) = courses(golden, options, obs[None], np.array([77], dtype=np.uint64), policy)
    cost = predict(config, options, course)
    assert seen == cost.busy
    assert seen["winners"][-1] == cost.cycles - 1


def test_units_work_in_the_cycles_in_which_they_are_predicted_to() -> None:
    weight, bias = random_parameters(SMALL, random.Random(4), "small")
    golden, loads = golden_with(SMALL, weight, bias), load_frames(SMALL, weight, bias)
    check_timeline(SMALL, SMALL_OPTIONS, loads, golden, np.array([30, 0, -50]), "conditional")


def test_units_wait_for_full_queues_as_predicted() -> None:
    # Simulated memories are zero at first.
    check_timeline(CROWDED, CROWDED_OPTIONS, [], Device(CROWDED), np.array([0, 1, 2]), "greedy")


@pytest.mark.slow
def test_units_work_in_the_cycles_in_which_the_diagram_shows_them() -> None:
    golden, loads = golden_with(PENDULUM, *trained()), load_frames(PENDULUM, *trained())
    check_timeline(PENDULUM, PENDULUM_OPTIONS, loads, golden, visited(1)[0], "sample")


# --- bounds ------------------------------------------------------------------------------------------------
def check_bounds(rng: random.Random, count: int) -> tuple[int, int]:
    """Bounds hold on random configurations. Returns how often the cost was the least and the most possible."""
    least = most = 0
    for _ in range(count):
        config = random_config(rng, rng.choice(sorted(REMOVABLE)))
        options = CoreOptions(
            rng.randint(1, min(config.lanes, 9)), rng.choice((1, 2, 4, 20)), banked=rng.random() < 0.5
        )
        golden = golden_with(config, *rng.choice(nets(config, rng)))
        for batch in batches(config, rng, 2):
            result = golden.infer(batch.obs, batch.nonce, batch.policy, batch.given)
            for row, course in enumerate(courses(golden, options, batch.obs, batch.nonce, batch.policy, batch.given)):
                work = config, options, int(result.row_words[row]), int(result.iterations[row])
                low = bound(*work, conditional=batch.policy == "conditional")
                high = ceiling(*work, batch.policy)
                cycles = predict(config, options, course).cycles
                assert low <= cycles <= high, (config, options, batch.policy)
                least, most = least + (cycles == low), most + (cycles == high)
    return least, most


def test_no_decision_costs_less_or_more_than_the_bounds() -> None:
    least, most = check_bounds(random.Random(5), 60)
    assert least and most


@pytest.mark.slow
def test_no_decision_at_all_costs_less_or_more_than_the_bounds() -> None:
    check_bounds(random.Random(6), 1500)
