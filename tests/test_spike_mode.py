"""``--mode spike`` on the command line: one meaning wherever it can be given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.server import FrameServer
from host import hardware
from host.cli import main
from host.run import RunFolder
from host.tasks import get_task
from tests.test_cli import TINY, last_json, refused

SPIKE = ["--mode", "spike", "--set", "network.steps=12", "--set", "network.window=8"]


@pytest.fixture(scope="module")
def rate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained in rate mode."""
    folder = tmp_path_factory.mktemp("runs") / "rate"
    assert main(["train", "inverted-pendulum", "--run", str(folder), *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def spiking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained in spike mode."""
    folder = tmp_path_factory.mktemp("runs") / "spike"
    assert main(["train", "inverted-pendulum", "--run", str(folder), *TINY, *SPIKE]) == 0
    return folder


def test_a_run_keeps_the_mode_that_it_was_trained_in(spiking: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = RunFolder.open(spiking)[1].settings.network
    assert (network.mode, network.steps, network.window, network.obs_spikes) == ("spike", 12, 8, "analog")
    play = ["play", str(spiking), "--episodes", "2"]
    assert last_json(capsys, play) == last_json(capsys, [*play, "--mode", "spike"]) | {
        "decisions_per_s": pytest.approx(1e5, abs=1e5)
    }
    parameters = Parameters.load(spiking / "params_best.npz")
    assert parameters.device == network


def test_tasks_have_defaults_for_spikes(tmp_path: Path) -> None:
    assert main(["train", "inverted-pendulum", "--run", str(tmp_path / "run"), *TINY, "--mode", "spike"]) == 0
    settings = RunFolder.open(tmp_path / "run")[1].settings
    assert (settings.network.steps, settings.network.window, settings.network.obs_spikes) == (16, 8, "analog")
    assert (settings.learning.modulator, settings.learning.entropy, settings.learning.rate) == ("plain", 0.3, 2.0**-9)


def test_what_is_asked_for_counts_more_than_the_defaults_for_spikes() -> None:
    asked = ["network.mode=spike", "network.steps=40", "learning.entropy=1"]
    settings = get_task("inverted-pendulum").settings("golden", "ppo", asked)
    assert (settings.network.steps, settings.network.window, settings.learning.entropy) == (40, 8, 1.0)
    rate = get_task("inverted-pendulum").settings("golden", "ppo", ["learning.entropy=1"])
    assert (rate.network.mode, rate.learning.modulator, rate.learning.entropy) == ("rate", "authors", 1.0)
    mnist = get_task("mnist").settings("golden", "reinforce", ["network.mode=spike"])
    assert (mnist.network.steps, mnist.network.window) == (32, 16)


@pytest.mark.parametrize("backend", ["golden", "float"])
def test_what_was_trained_in_one_mode_plays_in_the_other(
    rate: Path, spiking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    for run, mode in ((rate, "spike"), (spiking, "rate")):
        data = last_json(capsys, ["play", str(run), "--mode", mode, "--backend", backend, "--episodes", "2"])
        assert data["decisions"] > 2 and "raster" not in data
    picture = tmp_path / "raster.png"
    line = ["play", str(rate), *SPIKE, "--backend", backend, "--episodes", "1", "--raster", str(picture)]
    assert last_json(capsys, line)["raster"] == str(picture)
    before = picture.read_bytes()
    assert last_json(capsys, [*line, "--set", "network.obs_spikes=bernoulli", "--raster-group", "1"])["raster"]
    assert picture.read_bytes() != before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--raster", "raster.png"], "--raster draws spikes, and rate mode has none; add --mode spike"),
        (["--mode", "spike", "--raster", "raster.jpeg"], "raster.jpeg: pictures of spikes end in .png, .svg, .pdf"),
        (
            ["--mode", "spike", "--raster", "raster.png", "--raster-group", "3"],
            "--raster-group 3 does not exist; give 0 to 2",
        ),
        (["--mode", "spike", "--raster", "missing/raster.png"], "there is no folder missing"),
        (["--mode", "spike", "--raster-group", "1"], "--raster-group chooses what --raster FILE draws"),
        (["--mode", "spike", "--set", "network.window=12"], "window = 12 is not possible; give a power of two"),
        (["--mode", "spike", "--set", "network.steps=8"], "window = 16 exceeds the 8 steps"),
    ],
)
def test_play_refuses(
    rate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, ["play", str(rate), *more])
    assert not list(tmp_path.iterdir())


def test_a_rule_without_spikes_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "inverted-pendulum", "--mode", "spike", "--set", "learning.rule=conditional"]
    message = "learning.rule = 'conditional' does not exist in spike mode; choose one of published, contrastive"
    assert message in refused(capsys, [*line, "--run", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_a_policy_of_conditional_draws_plays_by_its_spikes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", "inverted-pendulum", "--run", str(run), *TINY, "--set", "learning.rule=conditional"]) == 0
    play = ["play", str(run), "--policy", "sample", "--episodes", "1"]
    assert last_json(capsys, play)["policy"] == "conditional"
    assert last_json(capsys, [*play, "--mode", "spike"])["policy"] == "sample"


def test_infer_decides_by_spikes(rate: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", obs=np.random.default_rng(0).random((7, 4)))
    line = ["infer", "--params", str(rate / "params_best.npz"), "--obs", str(tmp_path / "x.npz")]
    assert main([*line, "--out", str(tmp_path / "y.npz"), *SPIKE]) == 0
    with np.load(tmp_path / "y.npz") as decided:
        assert decided["iterations"].tolist() == [12] * 7
        assert set(np.unique(decided["q_raw"] % 32)) == {0}, "traces are eighths"


@pytest.fixture
def modelled(monkeypatch: pytest.MonkeyPatch) -> list[DeviceConfig]:
    """Puts the model behind frames in place of the compiled core; collects the devices asked for."""
    asked: list[DeviceConfig] = []

    def pool(config: DeviceConfig, options: object) -> FrameDevice:
        asked.append(config)
        return FrameDevice(config, FrameServer(config))

    monkeypatch.setattr(hardware, "core_pool", pool)
    return asked


@pytest.mark.parametrize("target", ["run", "inverted-pendulum"])
def test_lockstep_compares_decisions_of_spikes(
    rate: Path, modelled: list[DeviceConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    subject = str(rate) if target == "run" else target
    line = ["lockstep", subject, *SPIKE, "--decisions", "50", "--out", str(tmp_path / "report")]
    data = last_json(capsys, line)
    assert {"decisions": 50, "mismatches": 0}.items() <= data.items()
    assert [(config.mode, config.steps, config.window) for config in modelled] == [("spike", 12, 8)]
    assert not (tmp_path / "report").exists()


def test_lockstep_notices_one_wrong_spike(
    rate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong(FrameDevice):
        def infer(self, *arguments: Any, **named: Any) -> Any:
            result = super().infer(*arguments, **named)
            if len(result.spikes) > 2:
                result.spikes[2, 5, 1] ^= 1
            return result

    def make(config: DeviceConfig, options: object) -> FrameDevice:
        return Wrong(config, FrameServer(config))

    monkeypatch.setattr(hardware, "core_pool", make)
    monkeypatch.setattr(hardware, "fresh_core", make)
    line = ["lockstep", str(rate), *SPIKE, "--decisions", "50", "--out", str(tmp_path / "report"), "--json"]
    capsys.readouterr()
    assert main(line) == 1
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (data["decisions"], data["mismatches"]) == (3, 1)
    text = (tmp_path / "report" / "report.txt").read_text()
    assert "spikes: 1 of 36 values differ" in text and "(step 5, group 1)" in text


@pytest.mark.parametrize("rule", ["published", "contrastive"])
def test_lockstep_compares_what_is_learned_from_spikes(
    modelled: list[DeviceConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    run = tmp_path / "run"
    assert main(["train", "inverted-pendulum", "--run", str(run), *TINY, "--set", f"learning.rule={rule}"]) == 0
    line = ["lockstep", str(run), "--learn", "--samples", "300", *SPIKE, "--out", str(tmp_path / "report")]
    data = last_json(capsys, line)
    assert data["rule"] == rule
    assert data["samples"] >= 300 and data["updates"] > 0 and data["mismatches"] == 0
    assert modelled[0].mode == "spike"


def test_a_replay_has_its_mode_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, ["lockstep", "--replay", "transaction.npz", "--mode", "spike"])
    assert "leave the run, task, mode and settings out" in message
