"""A trained agent in one file: the same integers, and clear words about what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.parameters import to_octaves
from host.cli import main
from host.packed import AGENTS, PACKED_FORMAT, unpack
from host.run import RunFolder
from host.tasks import TASKS

DECISIONS = {
    "doom-health-gathering": 525,
    "doom-health-gathering-supreme": 525,
    "robot-arm": 60,
    "robot-navigation": 200,
    "robot-navigation-varied": 200,
}
"""As many as the longest episode."""

SET = ["--set", "network.groups=2", "--set", "network.group_size=3", "--set", "centring.frames=50"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "run"
    assert main(["train", "cartpole", "--episodes", "5", "--run", str(path), *SET]) == 0
    return path


@pytest.fixture(scope="module")
def agent(run: Path) -> Path:
    path = run.parent / "agent.npz"
    assert main(["pack", str(run), "--out", str(path)]) == 0
    return path


def last_json(capsys: pytest.CaptureFixture[str], line: list[str]) -> Any:
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_device_gets_the_same_integers(run: Path, agent: Path) -> None:
    folder, config = RunFolder.open(run)
    packed_config, parameters = unpack(agent)
    assert packed_config == config
    network, original = config.settings.network, folder.parameters()
    for one, other in zip(to_octaves(network, original), to_octaves(network, parameters), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(original.obs_mean, parameters.obs_mean) and original.obs_scale == parameters.obs_scale


def test_an_agent_plays_as_its_run(run: Path, agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--episodes", "3", "--policy", "sample"]
    found, expected = (last_json(capsys, ["play", str(what), *more]) for what in (agent, run))
    assert {**found, "decisions_per_s": 0} == {**expected, "decisions_per_s": 0}


@pytest.mark.parametrize("path", sorted(AGENTS.glob("*.npz")), ids=lambda path: path.stem)
def test_shipped_agents_fit_their_tasks(path: Path) -> None:
    config, parameters = unpack(path)
    assert config.task == path.stem and path.stat().st_size <= 8 << 20
    TASKS[config.task].check(parameters, str(path))


def test_a_shipped_agent_plays(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["play", "doom-health-gathering", "--pretrained", "--episodes", "1", "--env", "steps=60"]
    data = last_json(capsys, line)
    assert data["mean_return"] >= 60 and data["mean_medkits"] >= 1


@pytest.mark.parametrize("task", ["robot-navigation", "robot-navigation-varied"])
def test_a_shipped_agent_plays_by_the_policy_of_its_task(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["play", task, "--pretrained", "--episodes", "1", "--env", "split=1"]
    assert last_json(capsys, line)["policy"] == TASKS[task].policy
    assert last_json(capsys, [*line, "--policy", "greedy"])["policy"] == "greedy"


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(path.stem for path in AGENTS.glob("*.npz")))
def test_an_episode_of_a_shipped_agent_is_the_same_on_hardware(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["lockstep", task, "--pretrained", "--together", "1", "--decisions", str(DECISIONS[task])]
    data = last_json(capsys, [*line, "--policy", "greedy"])
    assert (data["mismatches"], data["decisions"]) == (0, DECISIONS[task])


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    capsys.readouterr()
    assert main(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("svpg: error: ") and error.count("\n") == 1
    return error


def test_a_task_without_an_agent_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mnist has no pretrained agent (those there are: " in refused(capsys, ["play", "mnist", "--pretrained"])


def test_a_damaged_file_is_refused(agent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.npz"
    cut.write_bytes(agent.read_bytes()[:-200])
    assert "not a readable agent file" in refused(capsys, ["play", str(cut)])
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, weight=np.zeros(3))
    assert "not a readable agent file" in refused(capsys, ["play", str(foreign)])
    with np.load(agent) as archive:
        data = {**archive, "format": np.int64(PACKED_FORMAT + 1)}
    newer = tmp_path / "newer.npz"
    np.savez(newer, **data)
    assert f"this program reads format {PACKED_FORMAT}" in refused(capsys, ["play", str(newer)])


def test_what_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such run folder" in refused(capsys, ["play", str(tmp_path / "none")])
    assert "there is no folder" in refused(capsys, ["pack", str(tmp_path), "--out", str(tmp_path / "no" / "a.npz")])
