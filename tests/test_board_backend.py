"""A board at a port, as a user has it: ``svpg simulate-board`` in one process, the host in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.start import random_start
from hdl.boards.catalogue import BOARDS
from host.backend import Port
from host.backends.registry import make_backend
from host.cli import main
from host.hardware_bench import Net
from host.link_bench import measure
from host.tasks import get_task
from host.wire import connect
from tests.links import SMALL

NETWORK = ["network.groups=2", "network.group_size=3"]
SET = [text for setting in NETWORK for text in ("--set", setting)]
LEARNS = ["--set", "learning.optimiser=sign"]


@dataclass(frozen=True)
class Simulated:
    """A running ``svpg simulate-board``: its process, and what it has printed."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def port(self) -> str:
        return str(self.said["port"])


def start(folder: Path, *more: str, board: str = "ulx3s-85f") -> Simulated:
    line = [sys.executable, "-m", "host.cli", "simulate-board", board, "inverted-pendulum", "--json", *SET, *more]
    process = subprocess.Popen(
        line, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert process.stdout is not None
    return Simulated(process, json.loads(process.stdout.readline()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("board")


@pytest.fixture(scope="module")
def board(folder: Path) -> Iterator[Simulated]:
    options = ["--set", "core.rules=contrastive", "--set", "core.optimisers=sign", "--at", str(folder / "port")]
    simulated = start(folder, *options)
    yield simulated
    simulated.process.send_signal(signal.SIGINT)
    rest = simulated.process.communicate(timeout=60)[0]
    assert simulated.process.returncode == 0
    assert json.loads(rest.splitlines()[-1])["cycles"] > 10_000
    assert not os.path.lexists(folder / "port"), "the name goes away with the board"


def trained(folder: Path, name: str, episodes: int, *more: str) -> Path:
    run = folder / name
    if not run.exists():
        line = ["train", "inverted-pendulum", "--run", str(run), "--episodes", str(episodes), "--seed", "5"]
        assert main([*line, *SET, *LEARNS, "--set", "training.validate_every=6", *more]) == 0
    return run


def wired(board: Simulated) -> list[str]:
    return ["--backend", "board", "--port", board.port]


def last_json(capsys: pytest.CaptureFixture[str], line: list[str]) -> Any:
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    capsys.readouterr()
    assert main(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("svpg: error: ") and error.count("\n") == 1
    return error


def same_files(one: Path, other: Path) -> None:
    for name in ("params_best.npz", "params_last.npz", "checkpoint.npz", "metrics.csv", "curve.png"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


# --- with a board ----------------------------------------------------------------------------------------
def test_the_board_says_where_and_what_it_is(board: Simulated, folder: Path) -> None:
    assert board.said["port"] == str(folder / "port") and (folder / "port").exists()
    assert board.said["baud"] == 3_000_000
    assert board.said["clock_mhz"] == pytest.approx(BOARDS["ulx3s-85f"].clock / 1e6, abs=1e-3)
    assert (board.said["rules"], board.said["optimisers"]) == (["contrastive"], ["sign"])


def test_a_board_trains_to_the_bytes_of_golden(board: Simulated, folder: Path) -> None:
    same_files(trained(folder, "golden", 12), trained(folder, "board", 12, *wired(board)))


def test_a_board_with_the_compact_core_decides_and_learns_as_golden_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["core.compact=true", "core.rules=contrastive", "core.optimisers=sign"]
    more = [text for option in options for text in ("--set", option)]
    simulated = start(folder, *more, "--at", str(folder / "small"), board="icebreaker")
    try:
        line = ["lockstep", str(trained(folder, "golden", 12)), *wired(simulated)]
        assert last_json(capsys, [*line, "--decisions", "50"])["mismatches"] == 0
        found = last_json(capsys, [*line, "--learn", "--samples", "50"])
        assert found["mismatches"] == 0 and found["samples"] >= 50
    finally:
        simulated.process.send_signal(signal.SIGINT)
        simulated.process.communicate(timeout=60)


def test_a_training_goes_on_from_golden_to_the_board(board: Simulated, folder: Path) -> None:
    run = trained(folder, "begun", 6)
    line = ["train", "inverted-pendulum", "--run", str(run), "--resume", "--episodes", "12", *wired(board)]
    assert main(line) == 0
    same_files(trained(folder, "golden", 12), run)


def test_a_board_plays_as_golden_does(board: Simulated, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play = ["play", str(trained(folder, "golden", 12)), "--episodes", "2"]
    found, expected = last_json(capsys, [*play, *wired(board)]), last_json(capsys, play)
    assert found["backend"] == "board" and found["cycles_per_decision"] > 50
    for name in ("mean_return", "std_return", "decisions"):
        assert found[name] == expected[name]


def test_lockstep_compares_a_board_with_golden(
    board: Simulated, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lockstep = ["lockstep", str(trained(folder, "golden", 12)), *wired(board)]
    assert last_json(capsys, [*lockstep, "--decisions", "50"])["mismatches"] == 0
    learned = last_json(capsys, [*lockstep, "--learn", "--samples", "50"])
    assert learned["mismatches"] == 0 and learned["samples"] >= 50 and learned["updates"] > 0


def test_infer_asks_a_board(board: Simulated, folder: Path) -> None:
    params = trained(folder, "golden", 12) / "params_best.npz"
    np.savez(folder / "x.npz", obs=np.random.default_rng(0).random((20, 4)))
    line = ["infer", "--params", str(params), "--obs", str(folder / "x.npz"), "--out"]
    assert main([*line, str(folder / "board.npz"), *wired(board)]) == 0
    assert main([*line, str(folder / "golden.npz")]) == 0
    found, expected = np.load(folder / "board.npz"), np.load(folder / "golden.npz")
    for name in ("winners", "q_raw", "action_prob", "iterations", "events"):
        assert np.array_equal(found[name], expected[name]), name


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "network.iterations=3"], "another configuration: iterations = 4 (not 3)"),
        (
            ["--set", "learning.rule=published"],
            "does not learn with published and sign: it has contrastive, sign; build",
        ),
    ],
)
def test_a_board_of_another_build_is_refused(
    board: Simulated, folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    line = ["train", "inverted-pendulum", "--run", str(folder / "no"), *SET, *LEARNS, *more, *wired(board)]
    assert message in refused(capsys, line)
    assert not (folder / "no").exists()


def test_a_board_has_its_build(board: Simulated, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["lockstep", "inverted-pendulum", *SET, *wired(board), "--set", "core.softmax_lanes=1"]
    assert "the board at --port has one" in refused(capsys, line)


def test_info_tells_what_is_at_the_port(board: Simulated) -> None:
    network = get_task("inverted-pendulum").settings("golden", "ppo", NETWORK).network
    backend = make_backend("board", network, port=Port(board.port))
    info = backend.info()
    backend.close()
    assert info["backend"] == "board" and info["slots"] == 8 and info["digest"] != network.digest
    assert info["lanes"] == board.said["lanes"] != network.lanes, "the row words of the bitstream count"


# --- without one -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backend", "board"], "backend board needs --port PORT"),
        (["--port", "p"], "backend golden has no port; give --backend board"),
        (["--baud", "9600"], "give --port as well"),
        (["--backend", "board", "--port", "/nowhere"], "/nowhere: no such port; is the board plugged in?"),
    ],
)
def test_a_port_and_a_board_go_together(
    folder: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert message in refused(capsys, ["play", str(trained(folder, "golden", 12)), *more])
    train = ["train", "inverted-pendulum", "--run", str(folder / "no"), *more]
    assert message in refused(capsys, train) and not (folder / "no").exists()


def test_a_port_at_which_nobody_answers_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    port, other_end = os.openpty()
    monkeypatch.setattr("golden.link_client.LinkTransport.__init__.__defaults__", (0.2, 1.0, 0.05))
    began = time.monotonic()
    with pytest.raises(SvpgError, match=r"has not answered for 0\.2 s; check cable, power and baud rate"):
        connect(SMALL, Port(os.ttyname(other_end)))
    assert time.monotonic() - began < 5
    os.close(port)
    os.close(other_end)


def test_simulate_board_refuses_what_is_not_possible(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown board 'zedboard'; choose one of ulx3s-85f" in refused(
        capsys, ["simulate-board", "zedboard", "inverted-pendulum"]
    )
    assert "does not fit: " in refused(capsys, ["simulate-board", "icebreaker", "mnist"])
    (folder / "taken").write_text("mine")
    assert "there is no folder" in refused(
        capsys, ["simulate-board", "ulx3s-85f", "inverted-pendulum", "--at", str(folder / "none" / "port")]
    )
    assert (folder / "taken").read_text() == "mine"


# --- throughput ------------------------------------------------------------------------------------------
def test_throughput_is_told_against_its_limits() -> None:
    config = DeviceConfig(inputs=4, groups=2, group_size=3, actions=5)
    rng = np.random.default_rng(0)
    net = Net(config, random_start(config, 1, 0.5, 0.5), config.obs.quantise(rng.random((50, 4))))
    rows: dict[str, float] = {}
    measure("pendulum/link", lambda name, value, unit: rows.update({name: value}), quick=True, net=net)
    get = {name.removeprefix("pendulum/link/"): value for name, value in rows.items()}
    for what in ("decisions", "decisions-one-by-one", "samples"):
        limit = min(get[f"{what}-line-limit"], get[f"{what}-core-limit"])
        assert get[f"{what}-of-limit"] == pytest.approx(100 * get[what] / limit)
        # A few transactions leave an acknowledgement to the count of those that follow.
        assert get[what] <= 1.03 * limit
    assert get["decisions"] > get["decisions-one-by-one"], "many in flight hide the latency"
    assert get["latency"] == pytest.approx(1e6 / get["decisions-one-by-one"])
