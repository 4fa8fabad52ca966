"""What the robot tasks promise."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import host.envs  # noqa: F401  (registers svpg/*)
from golden.errors import SvpgError
from hdl.options import CoreOptions
from host.agent import Agent
from host.backends.registry import make_backend
from host.evaluation import Validation
from host.evaluation import play as play_greedily
from host.fleet import Fleet
from host.hardware import simulated
from host.lockstep import compare
from host.packed import shipped, unpack
from host.study.robot_trials import trials
from host.tasks import get_task

pytest.importorskip("pybullet", reason="PyBullet has wheels for CPython 3.11 and older only")

from host.envs.bullet import Frames, grey, halved
from host.envs.robot_arm import HOME, MOVES, REACH, STRIDE, TEST, TRAINING, RobotArm, workplace
from host.envs.robot_navigation import NEAREST, NOISE, RobotNavigation, starts
from host.envs.robot_navigation_varied import APART, ENOUGH, Layout, RobotNavigationVaried, varied_room
from host.envs.room import (
    ACTIONS,
    AHEAD,
    COLUMNS,
    FURNITURE,
    LENGTH,
    RADIUS,
    SIGHT,
    TARGET,
    TURN_LEFT,
    WIDTH,
    Furniture,
    crosses,
    middle,
    plan,
)

Env = gymnasium.Env[Any, Any]
Maker = Callable[..., Env]
IDS = ("svpg/RobotArm-v0", "svpg/RobotNavigation-v0", "svpg/RobotNavigationVaried-v0")
TASKS = ("robot-arm", "robot-navigation")
MAKERS: tuple[Maker, ...] = (RobotArm, RobotNavigation, RobotNavigationVaried)
EAST, NORTH, WEST, SOUTH = range(4)


def play(env: Any, seed: int, choose: Callable[[], int]) -> tuple[list[Any], dict[str, Any]]:
    """One episode: the first observation, then observation, reward and ends of every step; the last ``info``."""
    seen: list[Any] = [env.reset(seed=seed)[0].tobytes()]
    while True:
        obs, reward, terminated, truncated, info = env.step(choose())
        seen.append((obs.tobytes(), reward, terminated, truncated))
        if terminated or truncated:
            return seen, info


def state(column: int, row: int, heading: int) -> int:
    """Number of a state of the room."""
    return (row * COLUMNS + column) * 4 + heading


# --- both ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_checker_finds_nothing_to_remark(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("make", MAKERS)
def test_same_seed_same_bits_other_seed_other_bits(make: Maker) -> None:
    def episode(seed: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        return play(make(), seed, lambda: int(rng.integers(5)))[0]

    assert episode(3) == episode(3)
    assert episode(3)[0] != episode(4)[0]


@pytest.mark.parametrize("make", MAKERS)
def test_rendering_shows_the_state_and_leaves_what_comes_alone(make: Maker) -> None:
    env, twin = make(render_mode="rgb_array"), make()
    env.reset(seed=1)
    twin.reset(seed=1)
    first = env.render()
    for _ in range(3):
        action = env.oracle()
        np.testing.assert_array_equal(env.step(action)[0], twin.step(action)[0])
        picture = env.render()
    assert picture.shape == first.shape == (300, 400, 3) and picture.dtype == np.uint8
    assert not np.array_equal(picture, first)
    assert twin.render() is None


@pytest.mark.parametrize("name", [*TASKS, "robot-navigation-varied"])
def test_environments_that_are_stepped_together_see_what_a_single_one_sees(name: str) -> None:
    """They share one scene, so each has to put it as its own state is."""
    task = get_task(name)
    fleet, rng = Fleet(task, 3), np.random.default_rng(0)
    actions = rng.integers(5, size=(12, 3))
    together = [[fleet.reset(number, 10 + number).tobytes()] for number in range(3)]
    for row in actions:
        for number, step in enumerate(fleet.step(range(3), row)):
            together[number].append(step[0].tobytes())
    for number in range(3):
        env = task.make()
        alone = [env.reset(seed=10 + number)[0].tobytes()]
        alone += [env.step(int(action))[0].tobytes() for action in actions[:, number]]
        assert alone == together[number]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("split", [0, 1])
def test_oracle_always_succeeds_in_the_promised_number_of_steps(make: Maker, split: int) -> None:
    env: Any = make(split=split, blank=1)
    for seed in range(20):
        seen, info = play(env, seed, env.oracle)
        assert info == {"success": 1, "score": 1.0, "shortest": len(seen) - 1}


@pytest.mark.parametrize("make", MAKERS)
def test_score_is_what_share_of_the_steps_was_needed(make: Maker) -> None:
    env: Any = make(blank=1)
    _, start = env.reset(seed=2)
    assert start["success"] == 0 and start["score"] == 0.0
    # Two steps that lead back: across and across again.
    there, back = (0, 1) if make is RobotArm else (3, 4)
    position = env.place if make is RobotArm else env.state
    for action in (there, back):
        info = env.step(action)[4]
        assert info["success"] == 0 and info["score"] == 0.0
    assert (env.place if make is RobotArm else env.state) == position
    ended = False
    while not ended:
        _, _, ended, truncated, info = env.step(env.oracle())
        assert not truncated
    assert info["score"] == start["shortest"] / (start["shortest"] + 2)


def test_validation_goes_by_the_score() -> None:
    task = get_task("robot-arm")
    assert task.score == "score"

    class Blind:
        def decide(self, obs: Any, *_: Any) -> Any:
            return type("Decision", (), {"action": np.zeros(len(obs), dtype=np.int64)})()

    fleet = Fleet(task, 3)
    assert Validation(fleet, 1, task.score).run(Blind()).tolist() == [0, 0, 0]  # type: ignore[arg-type]
    assert Validation(fleet, 1).run(Blind()).max() > 0  # type: ignore[arg-type]


@pytest.mark.parametrize("make", MAKERS)
def test_mirrored_and_blank_observations_differ_in_nothing_else(make: Maker) -> None:
    env, mirrored, blank = make(), make(mirror=1), make(blank=1)
    shape = (64, 64) if make is RobotArm else (60, 80)
    for seed in range(3):
        seen, turned, nothing = (each.reset(seed=seed)[0] for each in (env, mirrored, blank))
        np.testing.assert_array_equal(turned.reshape(shape), seen.reshape(shape)[:, ::-1])
        assert (nothing == 0.5).all()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": 5}, r"split = 5 is unknown; give 0 \(training\), 1 \(test\)"),
        ({"split": 0.5}, "split = 0.5 is unknown"),
        ({"mirror": 2}, "mirror = 2 is out of range; give 0 or 1"),
        ({"blank": -1}, "blank = -1 is out of range"),
        ({"render_mode": "human"}, "choose one of rgb_array"),
    ],
)
def test_bad_arguments_are_refused(make: Maker, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        make(**arguments)


def test_a_share_beyond_all_is_refused() -> None:
    with pytest.raises(SvpgError, match=r"scatter = 1\.5 is out of range; give a share from 0 to 1"):
        RobotArm(scatter=1.5)


@pytest.mark.parametrize("make", MAKERS)
def test_bad_actions_are_refused(make: Maker) -> None:
    env = make(blank=1)
    env.reset(seed=0)
    with pytest.raises(SvpgError, match=re.escape("action = 5 is out of range; give an integer from 0 to 4")):
        env.step(5)


def test_missing_pybullet_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from host.envs.bullet import engine

    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(SvpgError, match=r"use CPython 3\.11") as caught:
        engine()
    assert "\n" not in str(caught.value)


def test_grey_is_exact_and_keeps_black_and_white() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [10, 20, 30]]], dtype=np.uint8)
    assert grey(colours).tolist() == [[0, 255, 255 * 77 >> 8, (10 * 77 + 20 * 150 + 30 * 29) >> 8]]


def test_halved_picture_holds_means() -> None:
    pixels = np.array([[255, 255, 0, 1], [255, 255, 1, 1]], dtype=np.uint8)
    assert halved(pixels).tolist() == [[255, 0]]


# --- arm -----------------------------------------------------------------------------------------------


def test_gripper_is_where_it_should_be_within_a_tenth_of_a_millimetre() -> None:
    for x in REACH[0]:
        for y in REACH[1]:
            for z in REACH[2]:
                place = tuple(home + at * by for home, at, by in zip(HOME, (x, y, z), STRIDE, strict=True))
                np.testing.assert_allclose(workplace().gripper(place) * 1000, place, atol=0.1)


def test_arm_frames_do_not_depend_on_what_was_drawn_before(monkeypatch: pytest.MonkeyPatch) -> None:
    place, cube = (530, -60, 120), (440, 100)
    first = workplace().look(place, cube)
    monkeypatch.setattr(workplace(), "_frames", Frames())
    monkeypatch.setattr(workplace(), "_joints", {})
    workplace().look((320, 270, 20), (600, -200))
    again = workplace().look(place, cube)
    assert again is not first
    np.testing.assert_array_equal(first, again)


def test_arm_rewards_follow_a_script() -> None:
    env: Any = RobotArm(blank=1)
    for seed in range(1000):
        env.reset(seed=seed)
        if env.cube == (556, 83):
            break
    assert env.place == HOME and env.cube == (556, 83)
    away, toward, left, right, down = (MOVES.index(move) for move in (
        (-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, -1)
    ))  # fmt: skip
    script = [(away, 0), (toward, 1), (toward, 1), (right, 0), (left, 1), (left, 1), (left, 1),
              (down, 1), (down, 1), (down, 10)]  # fmt: skip
    for number, (action, reward) in enumerate(script):
        _, gained, terminated, truncated, info = env.step(action)
        assert (gained, terminated, truncated) == (reward, number == len(script) - 1, False)
    # One step along x, two along y and three down leave 26, 23 and 40 mm; this script goes astray by four.
    assert info["success"] == 1 and info["shortest"] == 6


def test_arm_stays_within_its_reach_and_is_cut_after_60_steps() -> None:
    env: Any = RobotArm(blank=1)
    env.reset(seed=0)
    for number in range(60):
        _, reward, terminated, truncated, info = env.step(0 if number < 59 else 4)
        assert not terminated and truncated == (number == 59)
        assert reward == 0 or number < 6 or number == 59
    assert env.place[0] == HOME[0] + REACH[0][1] * STRIDE[0] and info["success"] == 0


def test_cubes_of_training_test_and_fresh_episodes() -> None:
    assert len(TRAINING) == 45 and len(TEST) == 5 and not set(TRAINING) & set(TEST)
    seen: list[set[tuple[int, int]]] = []
    for split in range(3):
        env: Any = RobotArm(split=split, blank=1)
        places = set()
        for seed in range(400):
            env.reset(seed=seed)
            places.add(env.cube)
        seen.append(places)
    assert seen[0] == set(TRAINING) and seen[1] == set(TEST) and len(seen[2]) > 350
    assert all(abs(x - HOME[0]) <= 100 and abs(y) <= 180 for x, y in seen[2])


def test_cubes_of_training_are_at_many_distances_from_a_gripper_that_steps_on_a_grid() -> None:
    for axis, gap in ((0, 2), (1, 7)):
        beside = sorted({cube[axis] % STRIDE[axis] for cube in TRAINING})
        assert max(np.diff([*beside, beside[0] + STRIDE[axis]])) <= gap
    assert min(np.hypot(x - a, y - b) for x, y in TEST for a, b in TRAINING) > 32


def test_scattered_episodes_start_anywhere_but_at_the_cube_and_can_be_solved() -> None:
    env: Any = RobotArm(scatter=1, blank=1)
    starts = set()
    for seed in range(400):
        seen, info = play(env, seed, env.oracle)
        assert info == {"success": 1, "score": 1.0, "shortest": len(seen) - 1} and info["shortest"] > 0
        env.reset(seed=seed)
        starts.add(env.place)
    lowest, highest = np.min(list(starts), axis=0), np.max(list(starts), axis=0)
    for axis, (low, high) in enumerate(REACH):
        assert (lowest[axis], highest[axis]) == (HOME[axis] + low * STRIDE[axis], HOME[axis] + high * STRIDE[axis])
    assert len(starts) > 300


def test_share_of_scattered_episodes() -> None:
    env: Any = RobotArm(scatter=0.5, blank=1)
    places = []
    for seed in range(400):
        env.reset(seed=seed)
        places.append(env.place)
    assert 0.4 < np.mean([place == HOME for place in places]) < 0.6
    assert get_task("robot-arm").practice == {"scatter": 0.5}


def test_cube_shows_where_it_is() -> None:
    """The pixels in which two pictures differ are those of their cubes: nearer the camera lower, y to the right."""
    far, near = (workplace().look(HOME, cube).astype(int) for cube in ((450, -120), (580, 120)))
    behind, before = (np.argwhere(difference > 20).mean(axis=0) for difference in (far - near, near - far))
    assert before[0] > behind[0] + 5 and before[1] > behind[1] + 20


# --- navigation ----------------------------------------------------------------------------------------


def test_room_has_one_part_and_starts_are_far_and_apart() -> None:
    steps, free = plan().steps, np.repeat(plan().free.ravel(), 4)
    assert (steps[free] >= 0).all() and (steps[~free] == -1).all()
    training, tests = starts("training"), starts("test")
    assert len(tests) >= 400 and len(training) >= 3 * len(tests)
    assert not set(training // 4) & set(tests // 4)
    assert min(steps[training].min(), steps[tests].min()) == NEAREST


def test_steps_to_go_are_consistent_with_the_moves() -> None:
    room = plan()
    able = np.flatnonzero(room.steps > 0)
    np.testing.assert_array_equal(room.steps[room.following[able]].min(axis=1) + 1, room.steps[able])
    assert (room.steps[room.found] == 0).all() and room.found.sum() == (room.steps == 0).sum()


def test_actions_move_by_one_node_relative_to_the_heading() -> None:
    where = {
        EAST: [(21, 10, EAST), (20, 11, NORTH), (20, 9, SOUTH), (20, 11, EAST), (20, 9, EAST)],
        NORTH: [(20, 11, NORTH), (19, 10, WEST), (21, 10, EAST), (19, 10, NORTH), (21, 10, NORTH)],
        WEST: [(19, 10, WEST), (20, 9, SOUTH), (20, 11, NORTH), (20, 9, WEST), (20, 11, WEST)],
    }
    for heading, expected in where.items():
        for action in range(len(ACTIONS)):
            assert plan().following[state(20, 10, heading), action] == state(*expected[action])
            assert not plan().blocked[state(20, 10, heading), action]


def test_nothing_free_is_within_a_piece_of_furniture() -> None:
    for item in FURNITURE:
        for row, column in np.argwhere(plan().free):
            x, y = column * 0.15, row * 0.15
            assert np.hypot(max(item.x[0] - x, x - item.x[1], 0), max(item.y[0] - y, y - item.y[1], 0)) >= RADIUS


def test_line_of_sight_stops_at_a_box() -> None:
    item = Furniture((1.0, 2.0), (1.0, 2.0), (0.0, 1.0), (0.0, 0.0, 0.0))
    points = np.array([[0.0, 1.5], [0.0, 0.0], [1.5, 0.0], [3.0, 0.5], [0.0, 3.5]])
    assert crosses(item, points, (3.0, 1.5)).tolist() == [True, True, False, False, False]
    assert crosses(item, points, (1.5, 3.0)).tolist() == [False, True, True, False, False]


def test_navigation_rewards_follow_a_script() -> None:
    env: Any = RobotNavigation(blank=1)
    env.reset(seed=0)
    env.state = state(2, 2, WEST)
    # Ahead is the wall; a turn to the right looks north, where the chest stands.
    assert env.step(AHEAD)[1:4] == (-5.0, False, False) and env.state == state(2, 2, WEST)
    assert env.step(TURN_LEFT)[1:4] == (-5.0, False, False) and env.state == state(2, 2, SOUTH)
    assert env.step(TURN_LEFT)[1] == 1.0 and env.state == state(3, 2, EAST)
    assert env.step(AHEAD)[1] == 1.0 and env.state == state(4, 2, EAST)
    assert env.step(TURN_LEFT)[1] == -5.0 and env.state == state(4, 2, NORTH)
    env.state = state(36, 30, WEST)
    assert env.step(AHEAD)[1] == -1.0
    env.state = state(35, 30, NORTH)
    # The target is 1.5 m away to the east, but only a robot that turns there sees it.
    _, reward, terminated, _, info = env.step(2)
    assert (reward, terminated, info["success"]) == (50.0, True, 1)
    assert plan().distance[30, 36] <= SIGHT


def test_navigation_is_cut_after_200_steps() -> None:
    env: Any = RobotNavigation(blank=1)
    env.reset(seed=0)
    env.state = state(3, 2, WEST)
    for number in range(200):
        _, _, terminated, truncated, info = env.step(AHEAD)
        assert not terminated and truncated == (number == 199)
    assert info["success"] == 0 and info["score"] == 0.0


def test_robot_stands_a_little_beside_its_node() -> None:
    env: Any = RobotNavigation(blank=1)
    offsets = []
    for seed in range(200):
        env.reset(seed=seed)
        node, heading = divmod(env.state, 4)
        row, column = divmod(node, COLUMNS)
        offsets.append(np.array(env._pose) - (column * 0.15, row * 0.15, heading * np.pi / 2))
    measured = np.array(offsets)
    limit = np.array([NOISE[0], NOISE[0], NOISE[1]])
    assert (np.abs(measured) <= 2 * limit + 1e-12).all()
    np.testing.assert_allclose(measured.std(axis=0), limit, rtol=0.25)


def test_random_policy_finds_the_target_in_fewer_than_a_fifth_of_the_episodes() -> None:
    # Pictures take the time, and chance does not look at them.
    rng, env = np.random.default_rng(0), RobotNavigation(split=1, blank=1)
    found = [play(env, seed, lambda: int(rng.integers(5)))[1]["success"] for seed in range(300)]
    assert np.mean(found) < 0.2


# --- navigation in rooms that vary ---------------------------------------------------------------------


@pytest.mark.parametrize("split", ["training", "test"])
def test_every_room_has_its_pieces_within_the_walls_and_a_way_between_them(split: str) -> None:
    for number in range(30):
        layout = Layout(split, number)
        pieces = (layout.target, *layout.furniture)
        for piece, model in zip(pieces, (TARGET, *FURNITURE), strict=True):
            for got, size, limit in ((piece.x, model.x, LENGTH), (piece.y, model.y, WIDTH)):
                assert got[0] >= 0 and got[1] <= limit + 1e-9
                assert got[1] - got[0] == pytest.approx(size[1] - size[0])
        for place, one in enumerate(pieces):
            for other in pieces[:place]:
                gaps = (max(a[0] - b[1], b[0] - a[1]) for a, b in ((one.x, other.x), (one.y, other.y)))
                assert max(gaps) >= APART - 1e-9
        assert len(layout.starts) >= ENOUGH
        assert layout.plan.steps[layout.starts].min() >= NEAREST


def test_rooms_differ_between_episodes_and_between_training_and_tests() -> None:
    targets = {middle(Layout(split, number).target) for split in ("training", "test") for number in range(20)}
    assert len(targets) == 40
    again = Layout("test", 3)
    assert (again.target, again.furniture) == (Layout("test", 3).target, Layout("test", 3).furniture)
    env: Any = RobotNavigationVaried(blank=1)
    env.reset(seed=1)
    first = env.layout
    env.reset()
    assert env.layout.furniture != first.furniture and env.layout.target != first.target


def test_robot_sees_the_room_of_its_episode() -> None:
    """From the same pose: moved furniture changes the picture, and putting it back restores every pixel."""
    here, there = Layout("training", 0), Layout("training", 1)
    room, pose = varied_room(), (0.5, 0.5, 0.6)
    pictures = []
    for layout in (here, there, here):
        room.arrange(layout.furniture, layout.target)
        pictures.append(room.look(*pose))
    assert (pictures[0] != pictures[1]).mean() > 0.02
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_red_cabinet_is_drawn_where_the_plan_has_it() -> None:
    room = varied_room()
    for number in range(5):
        layout = Layout("test", number)
        room.arrange(layout.furniture, layout.target)
        colours = room.picture(-5.0, -5.0, 0.0).astype(int)
        # All else stays, so what changes here is the cabinet.
        room.arrange(layout.furniture, Layout("test", number + 1).target)
        moved = np.abs(room.picture(-5.0, -5.0, 0.0).astype(int) - colours).sum(axis=2) > 60
        # 400 x 300 pixels of 50 degrees from 6.6 m: about 48 pixels a metre on the floor, more higher up.
        x, y = middle(layout.target)
        column, row = round(200 + (x - LENGTH / 2) * 58), round(150 - (y - WIDTH / 2) * 58)
        assert moved[max(row - 12, 0) : row + 12, max(column - 12, 0) : column + 12].any()


@pytest.mark.parametrize(("scatter", "least", "most"), [(0, 0, 0), (0.5, 0.15, 0.4), (1, 0.5, 0.75)])
def test_scattered_episodes_of_a_varied_room_start_near_the_target_too(
    scatter: float, least: float, most: float
) -> None:
    env: Any = RobotNavigationVaried(scatter=scatter, blank=1)
    ways = np.array([env.reset(seed=seed)[1]["shortest"] for seed in range(60)])
    assert ways.min() > 0 and least <= (ways < NEAREST).mean() <= most


def test_random_policy_seldom_finds_the_target_of_a_varied_room() -> None:
    rng, env = np.random.default_rng(0), RobotNavigationVaried(split=1, blank=1)
    found = [play(env, seed, lambda: int(rng.integers(5)))[1]["success"] for seed in range(200)]
    assert np.mean(found) < 0.2


# --- shipped agents, and hardware ----------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_shipped_agents_find_the_way_from_starts_that_training_has_not_seen(name: str) -> None:
    config, parameters = unpack(shipped(get_task(name)))
    agent = Agent(make_backend("golden", config.settings.network), seed=1)
    agent.load(parameters)
    fresh = {"robot-arm": 2, "robot-navigation": 1}[name]
    result = trials(agent, get_task(name), 12, 7, split=fresh)
    assert result.success >= 10 / 12 and 1 <= result.ratio <= 1.3
    assert trials(agent, get_task(name), 12, 7, split=fresh, blank=1).success <= 1 / 12


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_hardware_decides_whole_episodes_with_golden_s_bits(name: str) -> None:
    task = get_task(name)
    config, parameters = unpack(shipped(task))
    network = config.settings.network
    agent = Agent(make_backend("golden", network), seed=1)
    agent.load(parameters)
    # The same episode, for its length; short ones are followed by more.
    with contextlib.closing(task.make()) as env:
        decisions = max(play_greedily(agent, env, 1, 3).decisions, 50)
    with contextlib.closing(simulated(network, CoreOptions.usual(network))) as hardware:
        compared = compare(task, parameters, hardware, decisions, "greedy", seed=3, episodes=1)
    assert compared.decisions == decisions and compared.mismatches == 0
    assert compared.cycles > task.inputs
