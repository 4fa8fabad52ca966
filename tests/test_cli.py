"""The command line: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.start import random_start
from host.cli import main
from host.settings import RUN_FORMAT

CONFIG = DeviceConfig(inputs=4, groups=2, group_size=3, actions=5)

TINY = ["--episodes", "4", "--set", "network.groups=2", "--set", "network.group_size=3", "--set", "critic.hidden=8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pendulum"
    assert main(["train", "inverted-pendulum", "--run", str(folder), *TINY]) == 0
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """``p.npz`` random parameters, ``x.npz`` observations."""
    random_start(CONFIG, 1, 0.5, 0.5).save(tmp_path / "p.npz")
    np.savez(tmp_path / "x.npz", obs=np.random.default_rng(0).random((7, 4)))
    return tmp_path


def infer(folder: Path, *more: str, params: str = "p.npz", obs: str = "x.npz") -> list[str]:
    paths = {"--params": folder / params, "--obs": folder / obs, "--out": folder / "y.npz"}
    return ["infer", *(text for name, path in paths.items() for text in (name, str(path))), *more]


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    """Run a command that must end with one line on stderr, nothing on stdout and status 2."""
    capsys.readouterr()
    assert main(line) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("svpg: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err


def last_json(capsys: pytest.CaptureFixture[str], line: list[str]) -> Any:
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_help_is_quick() -> None:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "host.cli", "--help"], capture_output=True, text=True, check=True)
    # Half a second on a machine of our own; a shared one gets four times that.
    assert time.perf_counter() - began < 2.0
    assert all(command in done.stdout for command in ("train", "play", "infer", "bench", "info", "demo"))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, host.cli; host.cli.build_parser(); "
        "print([m for m in ('torch', 'numba', 'gymnasium', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- train and play ---------------------------------------------------------------------------------
def test_train_leaves_a_run_folder(run: Path) -> None:
    names = {"config.toml", "params_best.npz", "params_last.npz", "checkpoint.npz", "metrics.csv", "curve.png"}
    assert names | {"tensorboard"} == {path.name for path in run.iterdir()}
    assert list((run / "tensorboard").iterdir())
    with Image.open(run / "curve.png") as picture:
        assert picture.size == (1200, 675)
    assert len((run / "metrics.csv").read_text().splitlines()) == 5


def test_train_reports_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = last_json(capsys, ["train", "cartpole", "--run", str(tmp_path / "r"), *TINY])
    assert data["run"] == str(tmp_path / "r")
    assert data["episodes"] == 4 and data["solved"] is False and data["solved_episode"] is None
    assert data["seconds"] > 0 and data["best_validation"] > 0


@pytest.mark.parametrize("backend", ["golden", "float"])
def test_play_reports_json(run: Path, capsys: pytest.CaptureFixture[str], backend: str) -> None:
    data = last_json(capsys, ["play", str(run), "--episodes", "3", "--backend", backend])
    assert {"task": "inverted-pendulum", "backend": backend, "episodes": 3}.items() <= data.items()
    assert 1 <= data["mean_return"] <= 200 and data["std_return"] >= 0 and data["decisions_per_s"] > 0
    assert data["decisions"] == round(3 * data["mean_return"])


def test_play_repeats_itself(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def returns(seed: int) -> tuple[float, float]:
        data = last_json(capsys, ["play", str(run), "--policy", "sample", "--seed", str(seed)])
        return data["mean_return"], data["std_return"]

    assert returns(1) == returns(1) != returns(2)


def test_play_takes_another_pole_than_the_one_trained_with(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["play", str(run), "--episodes", "3"]
    assert last_json(capsys, [*line, "--env", "pole_length=1.5"]) == {
        **last_json(capsys, line),
        "decisions_per_s": pytest.approx(1, abs=1e9),
    }
    other = last_json(capsys, [*line, "--env", "pole_length=0.4", "--env", "pole_thickness=0.02"])
    assert other["mean_return"] != last_json(capsys, line)["mean_return"]
    assert "no option 'colour'" in refused(capsys, [*line, "--env", "colour=1"])
    assert "not a number" in refused(capsys, [*line, "--env", "pole_length=long"])
    assert "positive" in refused(capsys, [*line, "--env", "pole_length=-1"])


def test_infer_uses_the_device_that_the_file_names(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coarse = CONFIG.replace(activity_frac=5, removed="sa", acc_frac=12)
    random_start(coarse, 1, 0.5, 0.5).save(files / "p.npz")
    last_json(capsys, infer(files))
    assert np.load(files / "y.npz")["q_raw"].max() <= 1 << 5
    last_json(capsys, infer(files, "--set", "network.activity_frac=8"))
    assert np.load(files / "y.npz")["q_raw"].max() > 1 << 5
    assert "network.KEY=VALUE only" in refused(capsys, infer(files, "--set", "learning.rate=1"))


def test_play_draws_an_animation(run: Path, tmp_path: Path) -> None:
    assert main(["play", str(run), "--episodes", "1", "--gif", str(tmp_path / "a.gif")]) == 0
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.format == "GIF" and picture.n_frames > 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["train", "chess"], "unknown task 'chess'; choose one of inverted-pendulum"),
        (["train", "cartpole", "--backend", "gpu"], "unknown backend 'gpu'; choose one of float, golden"),
        (["train", "cartpole", "--seed", "-1"], "seed -1 is out of range"),
        (["train", "cartpole", "--seed", str(1 << 24)], "out of range"),
        (["train", "cartpole", "--episodes", "0"], "invalid positive integer value: '0'"),
        (["train", "cartpole", "--set", "learning.rte=1"], "did you mean learning.rate"),
        (["train", "cartpole", "--set", "learing.rate=1"], "unknown section learing"),
        (["train", "cartpole", "--set", "learning.rate"], "section.key=VALUE"),
        (["train", "cartpole", "--set", "learning.rate=fast"], "'fast' is not a number"),
        (["train", "cartpole", "--set", "learning.rate=nan"], "not a finite number"),
        (["train", "cartpole", "--set", "learning.rate=0.001"], "not a power of two"),
        (["train", "cartpole", "--set", "learning.optimiser=adam"], "does not exist on backend golden"),
        (["train", "cartpole", "--set", "ppo.normalise=1"], "give true or false"),
        (["train", "cartpole", "--set", "ppo.gamma=1.5"], "ppo.gamma = 1.5 is out of range"),
        (["train", "cartpole", "--set", "ppo.envs=2"], "needs ppo.advantage=gae"),
        (["train", "cartpole", "--set", "network.actions=3"], "given by the task"),
        (["train", "cartpole", "--set", "network.weight_bits=99"], "weight_bits = 99 is out of range"),
        (["train", "mnist", "--set", "classify.source=/nonexistent"], "/nonexistent: no such folder"),
        (["train", "cartpole", "--resume"], "config.toml: no such file"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_train_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: list[str], message: str) -> None:
    more = ["--run", str(tmp_path / "r")] if line[0] == "train" else []
    if "--resume" in line:
        (tmp_path / "r").mkdir()
    assert message in refused(capsys, [*line, *more])
    assert not (tmp_path / "r").exists() or not list((tmp_path / "r").iterdir())


def test_an_existing_run_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "params_last.npz").read_bytes()
    assert "holds a run already" in refused(capsys, ["train", "inverted-pendulum", "--run", str(run)])
    assert (run / "params_last.npz").read_bytes() == before


def test_resume_refuses_contradictions(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["train", "inverted-pendulum", "--run", str(run), "--resume"]
    assert "its seed is 0, not 5" in refused(capsys, [*line, "--seed", "5"])
    assert "--set cannot change a run" in refused(capsys, [*line, "--set", "ppo.clip=0.1"])
    assert "its task is inverted-pendulum, not cartpole" in refused(capsys, [line[0], "cartpole", *line[2:]])


@pytest.mark.parametrize("command", [["play"], ["info"], ["train", "inverted-pendulum", "--resume", "--run"]])
def test_a_run_of_another_version_is_refused(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = (run / "config.toml").read_text()
    assert f"format = {RUN_FORMAT}\n" in text
    (other / "config.toml").write_text(text.replace(f"format = {RUN_FORMAT}\n", "format = 999\n"))
    assert "run folder of format 999, this program reads format" in refused(capsys, [*command, str(other)])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[ppo]", "[ppo", "not a readable settings file"),
        ("clip = 0.2", 'clip = "x"', "ppo.clip = 'x' must be of type float"),
        ("clip = 0.2", "clap = 0.2", "unknown key ppo.clap; did you mean clip"),
        ("clip = 0.2\n", "", "section [ppo] lacks clip"),
    ],
)
def test_damaged_settings_are_refused(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    text = (run / "config.toml").read_text()
    assert old in text
    (tmp_path / "config.toml").write_text(text.replace(old, new))
    assert message in refused(capsys, ["info", str(tmp_path)])


def test_play_refuses_what_is_not_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such run folder" in refused(capsys, ["play", str(tmp_path / "nothing")])
    assert "is not a run folder" in refused(capsys, ["play", str(tmp_path)])


def test_play_refuses_truncated_parameters(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_bytes((run / "config.toml").read_bytes())
    (tmp_path / "params_best.npz").write_bytes((run / "params_best.npz").read_bytes()[:100])
    assert "not a readable parameter file" in refused(capsys, ["play", str(tmp_path)])


# --- infer ------------------------------------------------------------------------------------------
def test_infer_writes_decisions(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert last_json(capsys, infer(files))["decisions"] == 7
    with np.load(files / "y.npz") as result:
        assert result["q"].shape == result["q_raw"].shape == (7, CONFIG.neurons)
        assert np.array_equal(result["q"] * 2**CONFIG.activity_frac, result["q_raw"])
        assert result["winners"].shape == (7, 3) and result["winners"].dtype == np.int64
        assert result["action_prob"].shape == (7, 5)


def test_infer_iterates_as_often_as_asked(files: Path) -> None:
    for passes in (1, 2):
        assert main(infer(files, "--iterations", str(passes))) == 0
        with np.load(files / "y.npz") as result:
            assert (result["iterations"] == passes).all()


def test_infer_starts_from_given_activity_on_float(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(files / "x.npz") as x:
        obs = x["obs"]
    assert main(infer(files, "--backend", "float", "--iterations", "3")) == 0
    with np.load(files / "y.npz") as result:
        three = result["q"]
    assert main(infer(files, "--backend", "float", "--iterations", "1")) == 0
    with np.load(files / "y.npz") as result:
        np.savez(files / "x0.npz", obs=obs, q0=result["q"])
    assert main(infer(files, "--backend", "float", "--iterations", "2", obs="x0.npz")) == 0
    with np.load(files / "y.npz") as result:
        np.testing.assert_allclose(result["q"], three, atol=1e-6)
    assert "backend golden cannot; use float" in refused(capsys, infer(files, obs="x0.npz"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"obs": np.full((2, 4), np.nan)}, "8 values that are not finite"),
        ({"obs": np.full((2, 4), 9.0)}, "8 of 8 values lie outside [-8, 7.99609]"),
        ({"obs": np.zeros((2, 5))}, "shape (2, 5), expected (batch, 4)"),
        ({"obs": np.zeros(4)}, "shape (4,), expected (batch, 4)"),
        ({"obs": np.zeros((0, 4))}, "shape (0, 4), expected (batch, 4)"),
        ({"obs": np.array([["a"] * 4])}, "not real numbers"),
        ({"observations": np.zeros((2, 4))}, "has no array obs"),
        ({"obs": np.zeros((2, 4)), "q0": np.zeros((3, 11))}, "q0 has 3 rows, obs has 2"),
    ],
)
def test_infer_refuses_observations(
    files: Path, capsys: pytest.CaptureFixture[str], arrays: dict[str, Any], message: str
) -> None:
    np.savez(files / "bad.npz", **arrays)
    assert message in refused(capsys, infer(files, obs="bad.npz"))
    assert not (files / "y.npz").exists()


def asymmetric(parameters: Parameters) -> None:
    parameters.weight[0, 4] += 1


def too_large(parameters: Parameters) -> None:
    parameters.bias[0] = 100


def infinite(parameters: Parameters) -> None:
    parameters.bias[0] = np.inf


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (asymmetric, "not symmetric, first at (0, 4)"),
        (too_large, "lie outside [-16, 15.9995]"),
        (infinite, "bias has 1 values that are not finite"),
    ],
)
def test_infer_refuses_parameters(files: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str) -> None:
    parameters = random_start(CONFIG, 1, 0.5, 0.5)
    spoil(parameters)
    parameters.save(files / "bad.npz")
    assert message in refused(capsys, infer(files, params="bad.npz"))
    assert not (files / "y.npz").exists()


def test_infer_refuses_foreign_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "short.npz").write_bytes((files / "p.npz").read_bytes()[:80])
    assert "not a readable parameter file" in refused(capsys, infer(files, params="short.npz"))
    assert "not an SVPG parameter file" in refused(capsys, infer(files, params="x.npz"))
    assert "no such parameter file" in refused(capsys, infer(files, params="none.npz"))
    assert "no such observation file" in refused(capsys, infer(files, obs="none.npz"))
    (files / "text.npz").write_text("hello")
    assert "not a readable .npz file" in refused(capsys, infer(files, obs="text.npz"))
    line = infer(files)
    line[line.index("--out") + 1] = str(files / "no" / "y.npz")
    assert "there is no folder" in refused(capsys, line)


# --- info -------------------------------------------------------------------------------------------
def test_info_lists_backends_and_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    data = last_json(capsys, ["info"])
    assert {"float", "golden"} <= set(data["backends"]) and {"inverted-pendulum", "mnist"} <= set(data["tasks"])
    assert data["packages"]["numpy"] == np.__version__


def test_info_describes_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = last_json(capsys, ["info", str(run)])
    assert data["task"] == "inverted-pendulum" and data["settings"]["network"]["groups"] == 2
    assert data["formats"]["weight"] == "s16.11"
    assert main(["info", str(run)]) == 0
    assert "s16.11" in capsys.readouterr().out
