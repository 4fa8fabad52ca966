"""Health gathering: what its rewards, pictures and seeds promise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import host.envs  # noqa: F401  (registers svpg/*)
from golden.errors import SvpgError
from host.cli import main
from host.envs.doom import ACTIONS, DEATH, HEIGHT, MEDKIT, STEPS, WIDTH, DoomHealthGathering, blind_script
from host.fleet import Fleet
from host.tasks import get_task
from tests.processes import working_in

TASK = get_task("doom-health-gathering")
FORWARD = ACTIONS.index((0, 0, 1))


@pytest.fixture
def env() -> Iterator[DoomHealthGathering]:
    made = DoomHealthGathering()
    yield made
    made.close()


def play(env: gymnasium.Env, seed: int, steps: int) -> tuple[list[bytes], list[float]]:
    """Pictures and rewards of the blind script."""
    frames, rewards = [env.reset(seed=seed)[0].tobytes()], []
    for _, action in zip(range(steps), blind_script(), strict=False):
        obs, reward, terminated, truncated, _ = env.step(action)
        frames.append(obs.tobytes())
        rewards.append(reward)
        if terminated or truncated:
            break
    return frames, rewards


def test_gymnasium_checker_finds_nothing_to_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = gymnasium.make("svpg/DoomHealthGathering-v0", render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_close_check=True)
    env.close()
    assert not list(tmp_path.glob("*.ini")), "the game leaves no settings behind"


def test_an_episode_follows_from_its_seed(env: DoomHealthGathering) -> None:
    first, again, other = play(env, 1, 60), play(env, 1, 60), play(env, 2, 60)
    assert first == again and first[0] != other[0]
    assert len(set(first[0])) > 40, "the world moves"


def test_the_picture_is_the_mean_of_the_screen(env: DoomHealthGathering) -> None:
    env.render_mode = "rgb_array"
    obs, _ = env.reset(seed=3)
    screen = env.render()
    assert screen is not None and screen.shape == (240, 320, 3) and len(np.unique(screen)) > 20
    mean = screen[:, :, 0].reshape(HEIGHT, 4, WIDTH, 4).mean(axis=(1, 3)) / 255
    assert obs.dtype == np.float32 and np.abs(obs.reshape(HEIGHT, WIDTH) - mean).max() < 1e-6


def test_mirror_and_blank_change_the_picture_alone(env: DoomHealthGathering) -> None:
    mirrored, blank = DoomHealthGathering(mirror=1), DoomHealthGathering(blank=1)
    plain = env.reset(seed=4)[0].reshape(HEIGHT, WIDTH)
    assert np.array_equal(mirrored.reset(seed=4)[0].reshape(HEIGHT, WIDTH), plain[:, ::-1])
    assert np.all(blank.reset(seed=4)[0] == 0.5)
    assert play(blank, 4, 200)[1] == play(env, 4, 200)[1]
    mirrored.close()
    blank.close()


def test_rewards_count_steps_medkits_and_the_death(env: DoomHealthGathering) -> None:
    # The script finds medkits; standing at a wall does not, and dies.
    _, rewards = play(env, 5, STEPS)
    assert set(rewards) >= {1.0, MEDKIT}
    medkits = rewards.count(MEDKIT)
    env.reset(seed=5)
    counted = [env.step(action)[4]["medkits"] for _, action in zip(range(len(rewards)), blind_script(), strict=False)]
    assert counted[-1] == medkits > 3
    env.reset(seed=6)
    ended, rewards = False, []
    while not ended:
        _, reward, ended, truncated, _ = env.step(FORWARD)
        rewards.append(reward)
        assert not truncated
    assert rewards[-1] == DEATH and DEATH not in rewards[:-1] and len(rewards) < 300


def test_an_episode_is_cut_after_its_steps() -> None:
    env = DoomHealthGathering(steps=7)
    env.reset(seed=0)
    ends = [env.step(FORWARD)[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(False, True)]
    env.close()


def test_a_fleet_gives_what_its_environments_give_alone() -> None:
    fleet, alone = Fleet(TASK, 3), Fleet(TASK, 1)
    actions = np.random.default_rng(0).integers(len(ACTIONS), size=(20, 3))
    seen = [[fleet.reset(number, 10 + number).tobytes() for number in range(3)]]
    seen += [[step[0].tobytes() for step in fleet.step(range(3), row)] for row in actions]
    for number in range(3):
        single = [alone.reset(0, 10 + number).tobytes()]
        single += [alone.step([0], row[number : number + 1])[0][0].tobytes() for row in actions]
        assert single == [row[number] for row in seen]
    fleet.close()
    alone.close()


@pytest.mark.parametrize("command", ["train", "play"])
def test_a_command_that_is_told_to_end_takes_its_games_with_it(command: str, tmp_path: Path) -> None:
    options = {"train": ["--run", str(tmp_path / "run")], "play": ["--pretrained", "--episodes", "1000"]}[command]
    process = subprocess.Popen(
        [sys.executable, "-m", "host.cli", command, TASK.name, *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    deadline = time.monotonic() + 120
    while "vizdoom" not in working_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "vizdoom" in working_in(tmp_path) and len(working_in(tmp_path)) >= 2
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "svpg: interrupted" in said
    assert not working_in(tmp_path)


def test_without_vizdoom_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    assert main(["train", TASK.name, "--run", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert "pip install vizdoom" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "e1m1"}, "choose one of health_gathering"),
        ({"steps": 0}, "steps = 0 is out of range"),
        ({"mirror": 2}, "mirror = 2 is out of range"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        DoomHealthGathering(**arguments)  # type: ignore[arg-type]


def test_an_action_out_of_range_is_refused(env: DoomHealthGathering) -> None:
    env.reset(seed=0)
    with pytest.raises(SvpgError, match="action = 5 is out of range"):
        env.step(5)
