"""What the environments promise."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import gymnasium.envs.mujoco
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import host.envs
from golden.errors import SvpgError
from golden.parameters import Parameters
from host.datasets import load_mnist
from host.envs.pendulum import FORCES, STATE_SCALE, pendulum_model

DATA = Path(__file__).parent / "data"
IDS = ("svpg/InvertedPendulum-v0", "svpg/CartPole-v0", "svpg/MNIST-v0")
PENDULUM, CARTPOLE, MNIST = IDS
POLE_XML = 'fromto="0 0 0 0.001 0 {length}" name="cpole" rgba="0 0.7 0.7 1" size="{thickness} 0.3"'


def pendulum_xml(length: str, thickness: str) -> str:
    """gymnasium's model text with another pole."""
    text = (Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "inverted_pendulum.xml").read_text()
    original = POLE_XML.format(length="0.6", thickness="0.049")
    assert original in text
    return text.replace(original, POLE_XML.format(length=length, thickness=thickness))


def rollout(env: gymnasium.Env[Any, Any], seed: int, steps: int) -> list[tuple[Any, ...]]:
    """Observations, rewards and ends under actions drawn from ``seed``, over episode boundaries."""
    actions = np.random.RandomState(seed).randint(env.action_space.n, size=steps)
    seen: list[tuple[Any, ...]] = [env.reset(seed=seed)[0].tobytes()]
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        seen.append((obs.tobytes(), reward, terminated, truncated, info))
        if terminated or truncated:
            seen.append(env.reset()[0].tobytes())
    return seen


# --- all of them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_checker_finds_nothing_to_remark(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("name", IDS)
def test_observations_are_float32_in_the_unit_interval(name: str) -> None:
    env = gymnasium.make(name)
    assert env.observation_space.dtype == np.float32
    assert env.observation_space.low.min() == 0 and env.observation_space.high.max() == 1
    obs, _ = env.reset(seed=0)
    for _ in range(300):
        assert obs.dtype == np.float32 and obs.min() >= 0 and obs.max() <= 1
        obs, _, terminated, truncated, _ = env.step(0)
        if terminated or truncated:
            obs, _ = env.reset()


@pytest.mark.parametrize("name", IDS)
def test_same_seed_same_bits_other_seed_other_bits(name: str) -> None:
    first, again, other = (rollout(gymnasium.make(name), seed, 120) for seed in (7, 7, 8))
    assert first == again
    assert first[0] != other[0]


@pytest.mark.parametrize("name", IDS)
def test_reset_without_seed_continues_the_stream(name: str) -> None:
    env = gymnasium.make(name)
    first = env.reset(seed=3)[0]
    assert not np.array_equal(first, env.reset()[0])
    assert np.array_equal(first, env.reset(seed=3)[0])


@pytest.mark.parametrize("name", IDS)
def test_rendering_shows_the_state_and_leaves_it_alone(name: str) -> None:
    env, twin = gymnasium.make(name, render_mode="rgb_array"), gymnasium.make(name)
    env.reset(seed=1)
    twin.reset(seed=1)
    first = env.render()
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    if name == MNIST:
        env.reset()
        assert not np.array_equal(first, env.render())
        return
    for _ in range(6):
        np.testing.assert_array_equal(env.step(1)[0], twin.step(1)[0])
        picture = env.render()
    assert picture.shape == first.shape == (300, 400, 3)
    assert not np.array_equal(first, picture)


@pytest.mark.parametrize("name", IDS)
def test_unknown_render_mode_is_refused(name: str) -> None:
    with pytest.raises(SvpgError, match="'human' is unknown; choose one of rgb_array"):
        getattr(host.envs, name.removeprefix("svpg/").removesuffix("-v0"))(render_mode="human")


# --- pendulum ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "thickness"), [("1.5", "0.05"), ("0.6", "0.049"), ("0.9", "0.1")])
def test_pendulum_model_equals_one_compiled_from_edited_xml(length: str, thickness: str) -> None:
    model = pendulum_model(float(length), float(thickness))
    expected = mujoco.MjModel.from_xml_string(pendulum_xml(length, thickness))
    for field in dir(expected):
        value = getattr(expected, field)
        if isinstance(value, np.ndarray) and field not in ("names", "paths", "text_data"):
            np.testing.assert_array_equal(getattr(model, field), value, err_msg=field)


def test_pendulum_moves_exactly_like_gymnasium(tmp_path: Path) -> None:
    xml = tmp_path / "pendulum.xml"
    xml.write_text(pendulum_xml("1.5", "0.05"))
    theirs = gymnasium.make("InvertedPendulum-v5", xml_file=str(xml)).unwrapped
    ours = gymnasium.make(PENDULUM).unwrapped
    ends = 0
    for seed in range(20):
        state, _ = theirs.reset(seed=seed)
        ours.reset(seed=seed)
        np.testing.assert_array_equal(ours.state, state)
        for action in np.random.RandomState(seed).randint(5, size=40):
            state, _, fell, _, _ = theirs.step(np.array([FORCES[action]]))
            _, _, terminated, _, _ = ours.step(action)
            np.testing.assert_array_equal(ours.state, state)
            assert terminated == fell
            if fell:
                ends += 1
                break
    assert ends > 0


def test_pendulum_observation_is_the_scaled_clipped_state() -> None:
    env = gymnasium.make(PENDULUM).unwrapped
    obs, _ = env.reset(seed=0)
    for action in (0, 0, 0, 2):
        expected = (np.clip(env.state * STATE_SCALE, -1, 1) + 1) / 2
        np.testing.assert_allclose(obs, expected, rtol=0, atol=1e-7)
        obs, *_ = env.step(action)
    assert np.isin(obs, (0, 1)).any(), "the push was meant to reach the clipping"


def test_pendulum_falls_when_nobody_acts_and_that_is_no_time_limit() -> None:
    env = gymnasium.make(PENDULUM)
    env.reset(seed=0)
    steps, terminated, truncated = 0, False, False
    while not (terminated or truncated):
        _, reward, terminated, truncated, _ = env.step(2)
        assert reward == 1
        steps += 1
    assert terminated and not truncated and steps < 200
    assert abs(env.unwrapped.state[1]) > 0.2


@pytest.mark.parametrize(("pole_length", "pole_thickness"), [(0.0, 0.05), (-1.0, 0.05), (1.5, 0.0), (1.5, np.nan)])
def test_impossible_pole_is_refused(pole_length: float, pole_thickness: float) -> None:
    with pytest.raises(SvpgError, match="give a positive number of metres"):
        gymnasium.make(PENDULUM, pole_length=pole_length, pole_thickness=pole_thickness)


def test_longer_pole_falls_more_slowly() -> None:
    def steps(pole_length: float) -> int:
        env = gymnasium.make(PENDULUM, pole_length=pole_length)
        env.reset(seed=0)
        count = 1
        while not env.step(2)[2]:
            count += 1
        return count

    assert steps(0.6) < steps(1.5) < steps(3.0)


@pytest.mark.parametrize("action", [-1, 5])
def test_pendulum_refuses_an_action_it_does_not_have(action: int) -> None:
    env = gymnasium.make(PENDULUM)
    env.reset(seed=0)
    with pytest.raises(SvpgError, match="give an integer from 0 to 4"):
        env.step(action)


def greedy_action(parameters: Parameters, obs: NDArray[np.float32]) -> int:
    """Most probable action after 12 mean-field iterations from uniform activity (float)."""
    n = parameters.neurons
    starts = np.append(np.arange(parameters.groups) * parameters.group_size, n - parameters.actions)
    sizes = np.diff(np.append(starts, n))
    q = np.repeat(1 / sizes, sizes)
    drive = obs @ parameters.weight[n:] + parameters.bias
    for _ in range(12):
        u = 2 * q @ parameters.weight[:n] + drive
        terms = np.exp(u - np.repeat(np.maximum.reduceat(u, starts), sizes))
        q = terms / np.repeat(np.add.reduceat(terms, starts), sizes)
    return int(q[n - parameters.actions :].argmax())


def test_published_policy_balances_until_the_time_limit() -> None:
    """A net trained elsewhere plays here: forces, scaling, order and dynamics are the published ones."""
    parameters = Parameters.load(DATA / "pendulum_policy.npz")
    env = gymnasium.make(PENDULUM)
    full = 0
    for seed in range(10):
        obs, _ = env.reset(seed=seed)
        terminated = truncated = False
        steps = 0
        while not (terminated or truncated):
            obs, _, terminated, truncated, _ = env.step(greedy_action(parameters, obs))
            steps += 1
        full += truncated and not terminated and steps == 200
    assert full >= 9


# --- cart-pole -----------------------------------------------------------------------------------------


def test_cartpole_moves_exactly_like_gymnasium() -> None:
    ours, theirs = gymnasium.make(CARTPOLE), gymnasium.make("CartPole-v1")
    ours.reset(seed=5)
    theirs.reset(seed=5)
    for action in np.random.RandomState(5).randint(2, size=200):
        obs, reward, terminated, truncated, _ = ours.step(action)
        state, their_reward, fell, _, _ = theirs.step(action)
        expected = (np.clip(state / (2.4, 2.0, np.radians(12), 3.0), -1, 1) + 1) / 2
        np.testing.assert_allclose(obs, expected, rtol=0, atol=1e-6)
        assert (reward, terminated, truncated) == (their_reward, fell, False)
        if fell:
            return
    pytest.fail("a random policy should have dropped the pole")


def test_cartpole_is_truncated_not_terminated_after_200_steps() -> None:
    env = gymnasium.make(CARTPOLE)
    env.reset(seed=0)
    for step in range(1, 201):
        x, x_dot, angle, angle_dot = env.unwrapped.state
        _, _, terminated, truncated, _ = env.step(int(angle + 0.5 * angle_dot + 0.05 * x + 0.1 * x_dot > 0))
        assert not terminated
        assert truncated == (step == 200)


def test_cartpole_before_reset_says_so() -> None:
    env = host.envs.CartPole(render_mode="rgb_array")
    with pytest.raises(SvpgError, match="call reset first"):
        env.render()


# --- MNIST ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "test"])
def test_mnist_pays_for_the_label_and_ends(split: str) -> None:
    env = gymnasium.make(MNIST, split=split)
    images, labels = load_mnist().split(split)
    rows = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    obs, info = env.reset(seed=0)
    for turn in range(40):
        label = rows[obs.tobytes()]
        assert info == {"label": label}
        action = label if turn % 2 else (label + 1) % 10
        same, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info["label"]) == (1 if turn % 2 else -1, True, False, label)
        np.testing.assert_array_equal(same, obs)
        obs, info = env.reset()


def test_mnist_rewards_are_an_option() -> None:
    env = gymnasium.make(MNIST, rewards=(0.0, -1.0))
    label = env.reset(seed=0)[1]["label"]
    assert env.step(label)[1] == 0
    assert env.step((label + 1) % 10)[1] == -1


def test_mnist_refuses_an_unknown_split() -> None:
    with pytest.raises(SvpgError, match="split = 'valid' is unknown; choose one of train, test"):
        gymnasium.make(MNIST, split="valid")


def test_documented_limits_are_the_registered_ones() -> None:
    for env, documented in ((host.envs.InvertedPendulum, PENDULUM), (host.envs.CartPole, CARTPOLE)):
        limit = re.search(r"truncated after (\d+) steps", " ".join((env.__doc__ or "").split()))
        assert limit is not None
        assert gymnasium.spec(documented).max_episode_steps == int(limit[1])
