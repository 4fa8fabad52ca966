"""``make demo`` from its first step to its last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.cli import main


def test_the_demo_trains_plays_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So few episodes do not solve it, which is what the exit status says; everything else is there."""
    assert main(["demo", "--episodes", "20", "--run", str(tmp_path / "demo"), "--json"]) == 1
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data["play"]["episodes"] == 10 and data["lockstep"]["mismatches"] == 0 < data["lockstep"]["decisions"]
    assert all((tmp_path / "demo" / name).stat().st_size for name in ("curve.png", "pendulum.gif"))
