"""The README's commands do what they say, in its order, from an empty folder."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from host.cli import main

README = Path(__file__).parents[1] / "README.md"

SHORTER = {
    "train": ["--episodes", "3"],
    "bench": ["pendulum/infer-1", "--quick"],
    "play": ["--episodes", "2"],
    "lockstep": ["--decisions", "200"],
}
"""What the default test run adds to a command so that it ends soon."""

SEEING = {
    "train": ["--episodes", "2", "--set", "ppo.update_every=8", "--set", "centring.frames=20"],
    "play": ["--episodes", "1", "--env", "steps=40"],
}
"""The same for tasks of thousands of pixels."""

LEARN_LESS = ["--samples", "200"]
"""The same where it learns on golden and the RTL."""

NARROWER = ["--set", "network.lanes=14"]
"""The same for the pendulum's RTL: a core of few lanes is compiled in a third of the time."""

SPIKES_ONLY = ["pendulum-spike/infer-1", "--quick"]
"""The same for the speed of spikes."""


def commands() -> list[list[str]]:
    """Every ``svpg`` line of the README's code blocks, split as a shell does."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README.read_text(), re.M | re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("svpg ")]


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "observations.npz", obs=np.random.default_rng(0).random((5, 4)))
    (tmp_path / "docs" / "results").mkdir(parents=True)
    return tmp_path


@contextlib.contextmanager
def runner() -> Iterator[Callable[[list[str]], int]]:
    """Runs commands; a simulated board runs on until all are done, as in a terminal of its own."""
    with contextlib.ExitStack() as closing:

        def run(line: list[str]) -> int:
            if line[0] != "simulate-board":
                return main(line)
            paths = {**os.environ, "PYTHONPATH": str(README.parent)}
            board = subprocess.Popen([sys.executable, "-m", "host.cli", *line], stdout=subprocess.PIPE, env=paths)
            closing.callback(board.communicate)
            closing.callback(board.send_signal, signal.SIGINT)
            assert board.stdout is not None
            # The last line of what it says at first.
            while said := board.stdout.readline():
                if said.startswith(b"optimisers"):
                    return 0
            return 1

        yield run


def test_every_command_runs_with_a_small_budget(empty_folder: Path) -> None:
    lines = commands()
    assert {line[0] for line in lines} == {
        "info",
        "train",
        "play",
        "infer",
        "lockstep",
        "rtl",
        "plan",
        "simulate-board",
        "pack",
        "bench",
        "study",
    }
    with runner() as run:
        for line in lines:
            if line[0] != "study":
                if "doom" in " ".join(line) or "agent.npz" in line:
                    assert run([*line, *SEEING.get(line[0], [])]) == 0, line
                    continue
                less = LEARN_LESS if "--learn" in line else SHORTER.get(line[0], [])
                if line[0] == "bench" and "spike" in line:
                    less = SPIKES_ONLY
                if ("rtl" in line[1:] or line[0] == "lockstep") and "board" not in line:
                    less = [*less, *NARROWER]
                assert run([*line, *less]) == 0, line
    assert (empty_folder / "pendulum.gif").exists()
    assert (empty_folder / "runs" / "pendulum" / "curve.png").exists()
    assert (empty_folder / "docs" / "results" / "raster.png").exists() and (empty_folder / "raster.svg").exists()
    assert set(np.load(empty_folder / "decisions.npz")) >= {"q", "q_raw", "winners", "action_prob"}


@pytest.mark.slow
def test_every_command_runs_as_written(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with runner() as run:
        for line in commands():
            capsys.readouterr()
            assert run(line) == 0, line
            if line[:2] == ["train", "inverted-pendulum"] and "--episodes" not in line:
                assert "solved at episode" in capsys.readouterr().out
