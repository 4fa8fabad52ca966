"""The planner: its cycles are those of the cost model, its areas near those of place and route, its choice fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Device
from golden.parameters import Parameters, to_octaves
from hdl.boards.area import area
from hdl.boards.catalogue import BOARDS, RESOURCE_NAMES, excesses
from hdl.options import CoreOptions
from host.cli import main
from host.commands.boards import CASES, markdown, reports
from sim.cost import courses, predict
from sim.device import core_library
from sim.model import VerilatedModel
from sim.plan import MOST_LANES, Freedom, candidates, plan
from sim.traffic import Traffic, decision_cycles, sample_cycles

RESULTS = Path(__file__).parents[1] / "docs" / "results"
POLICY = Path(__file__).parent / "data" / "pendulum_policy.npz"
NEAR = 0.1
"""Share by which a prediction may miss."""

CONFIG = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5, lanes=69)
MEASURED = reports(RESULTS / "boards")


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """That of the trained pendulum over some of its visited observations."""
    device = Device(CONFIG)
    device.weight, device.bias = to_octaves(CONFIG, Parameters.load(POLICY))
    return Traffic.of(device, CONFIG.obs.quantise(np.load(POLICY)["visited_obs"][:20]))


# --- cycles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lanes", "softmax_lanes"), [(69, 1), (69, 4), (23, 5), (14, 8)])
def test_cycles_of_a_decision_are_those_of_the_cost_model(traffic: Traffic, lanes: int, softmax_lanes: int) -> None:
    config, options = CONFIG.replace(lanes=lanes), CoreOptions(softmax_lanes=softmax_lanes)
    device = Device(config)
    device.weight, device.bias = traffic.device.weight, traffic.device.bias
    nonce = np.arange(len(traffic.obs), dtype=np.uint64)
    direct = [predict(config, options, course).cycles for course in courses(device, options, traffic.obs, nonce)]
    assert decision_cycles(traffic, config, options) == pytest.approx(np.mean(direct))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["published", "conditional", "contrastive"])
@pytest.mark.parametrize("products", [1, 2])
def test_cycles_of_a_sample_are_near_those_of_the_core(traffic: Traffic, rule: str, products: int) -> None:
    config, options = CONFIG.replace(lanes=23), CoreOptions(softmax_lanes=4, products=products).learning()
    device = FrameDevice(config, VerilatedModel(core_library(config, options)))
    device.load("weight", traffic.device.weight)
    device.load("bias", traffic.device.bias)
    modulator = np.full(len(traffic.obs), 1 << config.modulator_frac, dtype=np.int64)
    found = device.learn(traffic.obs, traffic.winners, modulator, rule)
    assert found is not None
    assert sample_cycles(traffic, config, options, rule) == pytest.approx(found.cycles.mean(), rel=NEAR)


# --- areas ----------------------------------------------------------------------------------------------


def test_there_are_reports_of_builds() -> None:
    assert MEASURED.keys() == CASES.keys()


@pytest.mark.parametrize("name", [name for name, one in MEASURED.items() if one["fmax_mhz"]])
@pytest.mark.parametrize("resource", ["luts", "registers", "multipliers", "block_rams"])
def test_predicted_areas_are_near_those_of_place_and_route(name: str, resource: str) -> None:
    one = MEASURED[name]
    needs = area(BOARDS[one["board"]], DeviceConfig(**one["configuration"]), CoreOptions(**one["options"]))
    assert getattr(needs, resource) == pytest.approx(one[resource], rel=NEAR, abs=1)


def test_the_table_is_made_of_the_reports() -> None:
    assert (RESULTS / "boards.md").read_text() == markdown(MEASURED)


# --- choices --------------------------------------------------------------------------------------------


def test_the_planner_takes_the_fastest_build_that_fits(traffic: Traffic) -> None:
    board = BOARDS["ulx3s-25f"]
    best = plan(board, traffic, CONFIG, CoreOptions(), Freedom())
    assert not best.problems and not excesses(board, best.needs)
    fitting = [
        decision_cycles(traffic, config, options, 4)
        for config, options in candidates(board, CONFIG, CoreOptions(), Freedom())
        if not excesses(board, area(board, config, options))
    ]
    assert decision_cycles(traffic, best.config, best.options, 4) == min(fitting)


def test_what_is_given_is_not_chosen(traffic: Traffic) -> None:
    options = CoreOptions(softmax_lanes=3)
    found = plan(BOARDS["ulx3s-85f"], traffic, CONFIG.replace(lanes=35), options, Freedom(False, False, False, False))
    assert (found.config.lanes, found.options) == (35, options)


def test_weights_of_wide_builds_come_from_banks(traffic: Traffic) -> None:
    for lanes, words in ((MOST_LANES, 1), (MOST_LANES + 1, 1), (9, 4)):
        options = CoreOptions(words=words)
        found = plan(BOARDS["ulx3s-85f"], traffic, CONFIG.replace(lanes=lanes), options, Freedom(lanes=False))
        assert found.options.banked == (lanes * words > MOST_LANES)


def test_the_planner_finds_lanes_for_several_words_at_once(traffic: Traffic) -> None:
    options = CoreOptions(words=8, rules="contrastive", optimisers="sign", shared=False)
    found = plan(BOARDS["ulx3s-85f"], traffic, CONFIG.replace(lanes=1), options, Freedom())
    assert not found.problems and found.options.words == 8 and not found.options.shared
    assert found.config.lanes == 9, "eight words of nine lanes are a row"


def test_the_plan_of_a_task_says_of_every_board_what_it_needs_or_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "inverted-pendulum", "--json"]) == 0
    data: Any = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["board"] for one in data["boards"]] == list(BOARDS)
    for one in data["boards"]:
        assert one.keys() >= {*RESOURCE_NAMES, "lanes", "cycles_per_decision", "us_per_decision", "problems"}
        assert one["fits"] == (not one["problems"])
        assert one["us_per_decision"] == pytest.approx(one["cycles_per_decision"] / one["clock_mhz"], abs=0.01)
