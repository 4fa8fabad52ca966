"""``svpg bench`` measures what it says; the figures themselves are for people."""

from __future__ import annotations

import json

import pytest

from golden.errors import SvpgError
from host import bench
from host.cli import main


def test_one_benchmark_gives_both_backends_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pendulum/infer-1", "--quick", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out.splitlines()[-1])}
    golden, floating = rows["pendulum/infer-1/golden"], rows["pendulum/infer-1/float"]
    assert golden["unit"] == floating["unit"] == "us"
    ratio = rows["pendulum/infer-1/golden-over-float"]["value"]
    assert ratio == pytest.approx(floating["value"] / golden["value"], rel=0.01)
    authors = rows["pendulum/infer-1/golden-over-authors"]["value"]
    assert authors == pytest.approx(bench.AUTHORS_FORWARD_US / golden["value"], rel=0.01)


def test_rates_count_samples(capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench.run_benchmarks(["pendulum/learn-256"], quick=True)
    assert [row["unit"] for row in rows] == ["1/s", "1/s", "x"]
    # A sample takes between a microsecond and a millisecond on anything that runs this.
    assert all(1e3 < row["value"] < 1e6 for row in rows[:2])


def test_unknown_benchmark_is_refused() -> None:
    with pytest.raises(SvpgError, match="unknown benchmark"):
        bench.run_benchmarks(["pendulum/nothing"])
