"""``svpg bench TASK/training`` tells where the time of a training goes."""

from __future__ import annotations

import json
import os

import pytest

from host.cli import main
from host.training_bench import PARTS

NAME = "robot-navigation/training"


def test_parts_of_a_training_step_make_up_nearly_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    processors = os.sched_getaffinity(0)
    assert main(["bench", NAME, "--quick", "--json"]) == 0
    rows = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == [f"{NAME}/step", *(f"{NAME}/{part}" for part in PARTS)]
    assert rows[f"{NAME}/step"] > 0 and all(rows[f"{NAME}/{part}"] > 0 for part in PARTS)
    assert 60 < sum(rows[f"{NAME}/{part}"] for part in PARTS) <= 100
    assert os.sched_getaffinity(0) == processors
