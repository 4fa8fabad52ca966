"""``svpg bench`` measures what it says; the figures themselves are for people."""

from __future__ import annotations

import json

import pytest

from golden.errors import SvpgError
from golden.modes import MODES
from host import bench
from host.cli import main
from host.hardware_bench import AUTHORS_FORWARD_US, AUTHORS_SPIKES_US


def test_one_benchmark_gives_both_backends_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pendulum/infer-1", "--quick", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out.splitlines()[-1])}
    golden, floating = rows["pendulum/infer-1/golden"], rows["pendulum/infer-1/float"]
    assert golden["unit"] == floating["unit"] == "us"
    ratio = rows["pendulum/infer-1/golden-over-float"]["value"]
    assert ratio == pytest.approx(floating["value"] / golden["value"], rel=0.01)
    authors = rows["pendulum/infer-1/golden-over-authors"]["value"]
    assert authors == pytest.approx(AUTHORS_FORWARD_US / golden["value"], rel=0.01)


def test_a_decision_of_spikes_is_set_against_the_authors_of_as_many_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pendulum-spike-42/infer-1", "--mode", "spike", "--quick", "--json"]) == 0
    rows = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out.splitlines()[-1])}
    golden, authors = (rows[f"pendulum-spike-42/infer-1/{name}"] for name in ("golden", "golden-over-authors"))
    assert authors == pytest.approx(AUTHORS_SPIKES_US / golden, rel=0.01)
    assert rows["pendulum-spike-42/infer-1/float"] > 0
    config = bench.NETS["pendulum-spike-42"]
    assert (config.steps, config.window) == (42, 32)


def test_a_mode_selects_its_benchmarks() -> None:
    by_mode = {mode: bench.names(mode) for mode in MODES}
    assert sorted([*by_mode["rate"], *by_mode["spike"]]) == sorted(bench.names())
    assert {"pendulum-spike/infer-1", "mnist-20x10-spike/learn-256"} <= set(by_mode["spike"])
    assert {"pendulum/rtl", "pendulum/learning", "pendulum/apply"} <= set(by_mode["rate"])
    with pytest.raises(SvpgError, match="unknown benchmark 'pendulum/infer-1' in spike mode; choose from pendulum-sp"):
        bench.run_benchmarks(["pendulum/infer-1"], mode="spike")


def test_rates_count_samples(capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench.run_benchmarks(["pendulum/learn-256"], quick=True)
    assert [row["unit"] for row in rows] == ["1/s", "1/s", "x"]
    # A sample takes between a microsecond and a millisecond on anything that runs this.
    assert all(1e3 < row["value"] < 1e6 for row in rows[:2])


def test_unknown_benchmark_is_refused() -> None:
    with pytest.raises(SvpgError, match="unknown benchmark"):
        bench.run_benchmarks(["pendulum/nothing"])
