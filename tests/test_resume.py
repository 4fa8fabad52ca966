"""A run that is interrupted, however often and wherever, ends in the same bytes as one that is not."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from golden.errors import SvpgError
from host import training
from host.cli import main
from host.run import RunFolder

COMPARED = ("params_last.npz", "params_best.npz", "metrics.csv", "checkpoint.npz", "curve.png", "config.toml")

SMALL = (
    "network.groups=2",
    "network.group_size=3",
    "critic.hidden=8",
    "training.validate_every=6",
    "training.validation_episodes=2",
    "training.checkpoint_every=5",
    "training.hold=0",
)
REPLAY = ("ppo.batch=16", "ppo.buffer=64")
ROLLOUT = ("ppo.advantage=gae", "ppo.envs=3", "ppo.update_every=20", "ppo.batch=32", "ppo.normalise=true")


def arguments(task: str, run: Path, *settings: str, episodes: int = 30, more: tuple[str, ...] = ()) -> list[str]:
    line = ["train", task, "--seed", "3", "--episodes", str(episodes), "--run", str(run), *more]
    for setting in settings:
        line += ["--set", setting]
    return line


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in COMPARED}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of IDX files with 60 and 20 random images."""
    folder = tmp_path / "idx"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for prefix, count in (("train", 60), ("t10k", 20)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = b"\0\0\x08\x03" + np.array([count, 28, 28], dtype=">u4").tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        header = b"\0\0\x08\x01" + np.array([count], dtype=">u4").tobytes()
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return folder


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL at random moments of a real process, three times."""
    settings, episodes = (*SMALL, *REPLAY), 90
    assert main(arguments("inverted-pendulum", tmp_path / "whole", *settings, episodes=episodes)) == 0

    broken = tmp_path / "broken"
    moments = random.Random(7)
    killed = 0
    for kill in range(3):
        line = arguments("inverted-pendulum", broken, *(() if kill else settings), episodes=episodes)
        line += ["--resume"] if kill else []
        process = subprocess.Popen([sys.executable, "-m", "host.cli", *line], stdout=subprocess.DEVNULL)
        metrics, wanted = broken / "metrics.csv", 1 + (kill + 1) * 16 + moments.randrange(16)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= wanted:
                time.sleep(moments.random() * 0.02)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        killed += process.wait() == -signal.SIGKILL
    assert killed == 3, "every process must still have been training when it was killed"
    assert main(arguments("inverted-pendulum", broken, episodes=episodes, more=("--resume",))) == 0
    assert contents(broken) == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("task", "settings", "more"),
    [
        ("cartpole", REPLAY, ()),
        ("cartpole", REPLAY, ("--backend", "float")),
        ("cartpole", (*REPLAY, "learning.rule=published"), ()),
        ("cartpole", (*REPLAY, "learning.rule=conditional"), ()),
        ("cartpole", (*ROLLOUT, "learning.halve=7"), ()),
        ("cartpole", ("reinforce.episodes=3",), ("--algorithm", "reinforce")),
        ("mnist", ("classify.batch=16", "classify.validation=10"), ()),
        ("mnist", ("classify.batch=16", "classify.validation=10"), ("--algorithm", "ppo")),
    ],
    ids=["replay", "replay-float", "published", "conditional", "rollout", "reinforce", "classify", "classify-ppo"],
)
def test_every_algorithm_resumes_to_the_same_bytes(
    tmp_path: Path,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    settings: tuple[str, ...],
    more: tuple[str, ...],
) -> None:
    settings = (*SMALL, *settings, *((f"classify.source={images}",) if task == "mnist" else ()))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(arguments(task, whole, *settings, more=more)) == 0

    def interrupt_after(rows: int) -> None:
        """Interrupt right after the metrics have that many rows, wherever the last checkpoint is."""
        append = RunFolder.append_metrics

        def interrupting(folder: RunFolder, lines: list[str]) -> None:
            append(folder, lines)
            if folder.metrics_file.read_bytes().count(b"\n") > rows:
                raise KeyboardInterrupt

        monkeypatch.setattr(RunFolder, "append_metrics", interrupting)

    interrupt_after(3)
    assert main(arguments(task, broken, *settings, more=more)) == 130
    monkeypatch.undo()
    interrupt_after(16)
    assert main(arguments(task, broken, more=(*more, "--resume"))) == 130
    monkeypatch.undo()
    assert main(arguments(task, broken, more=(*more, "--resume"))) == 0
    assert contents(broken) == contents(whole)


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(arguments("cartpole", run, *SMALL, *REPLAY, episodes=12)) == 0
    before = contents(run)
    assert main(["train", "cartpole", "--run", str(run), "--resume"]) == 0
    assert contents(run) == before


def test_a_finished_run_can_be_extended(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    assert main(arguments("cartpole", long, *SMALL, *REPLAY, episodes=24)) == 0
    assert main(arguments("cartpole", short, *SMALL, *REPLAY, episodes=12)) == 0
    assert main(arguments("cartpole", short, episodes=24, more=("--resume",))) == 0
    assert contents(short) == contents(long)


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        line = arguments("cartpole", tmp_path / seed, *SMALL, *REPLAY, episodes=6)
        line[line.index("--seed") + 1] = seed
        assert main(line) == 0
    assert contents(tmp_path / "1")["params_last.npz"] != contents(tmp_path / "2")["params_last.npz"]


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(arguments("cartpole", run, *SMALL, *REPLAY, episodes=10)) == 0
    before = (run / "checkpoint.npz").read_bytes()
    capfd.readouterr()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert main(arguments("cartpole", run, episodes=20, more=("--resume",))) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "checkpoint.npz: cannot be written (No space left on device)" in error
    assert (run / "checkpoint.npz").read_bytes() == before
    assert not list(run.glob(".*.part"))
    monkeypatch.undo()
    assert main(arguments("cartpole", run, episodes=20, more=("--resume",))) == 0


def test_a_file_size_limit_ends_the_process_with_one_line(tmp_path: Path) -> None:
    """The kernel refuses the write, as on a full disk, in a real process."""
    run = tmp_path / "run"
    settings = (*SMALL, *REPLAY, "network.groups=40", "network.group_size=10")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = subprocess.run(
        [sys.executable, "-m", "host.cli", *arguments("cartpole", run, *settings, episodes=6)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1 and process.stderr.startswith("svpg: error: ")
    assert "cannot be written (File too large)" in process.stderr
    assert not (run / "checkpoint.npz").exists() and not list(run.glob(".*.part"))


def test_missing_metrics_rows_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(arguments("cartpole", run, *SMALL, *REPLAY, episodes=6)) == 0
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[:3]))
    assert main(["train", "cartpole", "--run", str(run), "--resume"]) == 2
    assert "has 2 rows, the checkpoint needs 6" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(arguments("cartpole", run, *SMALL, *REPLAY, episodes=6)) == 0
    whole = (run / "checkpoint.npz").read_bytes()
    (run / "checkpoint.npz").write_bytes(whole[: len(whole) // 2])
    assert main(["train", "cartpole", "--run", str(run), "--resume"]) == 2
    assert "not a readable checkpoint" in capsys.readouterr().err


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    assert main(arguments("cartpole", small, *SMALL, *REPLAY, episodes=6)) == 0
    assert main(arguments("cartpole", large, *SMALL, *REPLAY, "network.groups=3", episodes=6)) == 0
    (small / "checkpoint.npz").write_bytes((large / "checkpoint.npz").read_bytes())
    folder, config = RunFolder.open(small)
    with pytest.raises(SvpgError):
        training.train(config, folder.path, resume=True)
