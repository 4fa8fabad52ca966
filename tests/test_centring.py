"""The mean observation: measured from the seed, kept with the run, the same for every device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from golden.parameters import Parameters
from host.centring import measured
from host.cli import main
from host.settings import Centring
from host.tasks import get_task

TASK = get_task("cartpole")
SET = [
    text
    for setting in (
        "network.groups=2",
        "network.group_size=3",
        "centring.frames=300",
        "centring.unit=true",
        "training.validate_every=3",
    )
    for text in ("--set", setting)
]


def train(run: Path, *more: str) -> None:
    assert main(["train", "cartpole", "--run", str(run), "--seed", "3", *more]) == 0


def test_the_mean_is_that_of_random_play() -> None:
    mean, scale = measured(TASK, Centring(frames=2000), seed=1)
    assert mean.shape == (4,) and scale == 1.0
    # A cart that starts in the middle is about there.
    assert np.all(np.abs(mean - 0.5) < 0.05)
    same, unit = measured(TASK, Centring(frames=2000, unit=True), seed=1)
    assert np.array_equal(mean, same) and 0.01 < unit < 0.5
    other, _ = measured(TASK, Centring(frames=2000), seed=2)
    assert not np.array_equal(mean, other)


def test_a_run_keeps_its_centring_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, "--episodes", "6", *SET)
    train(parts, "--episodes", "3", *SET)
    train(parts, "--episodes", "6", "--resume")
    for name in ("params_last.npz", "checkpoint.npz", "metrics.csv"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    kept = Parameters.load(whole / "params_last.npz")
    mean, scale = measured(TASK, Centring(frames=300, unit=True), seed=3)
    assert np.array_equal(kept.obs_mean, mean) and kept.obs_scale == scale


def test_classification_has_no_random_play(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mnist", "--run", str(tmp_path / "run"), "--set", "centring.frames=10"]) == 2
    assert "mnist has no environment" in capsys.readouterr().err
