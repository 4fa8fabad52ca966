"""The study of health gathering: its cases, its runs, its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golden.errors import SvpgError
from host.study import doom, doom_training
from host.study.runs import MLP

SMALL = [
    "ppo.update_every=8",
    "ppo.envs=2",
    "ppo.batch=16",
    "centring.frames=20",
    "training.validate_every=1",
    "training.validation_episodes=1",
]


def played(medkits: float) -> dict[str, float]:
    return {"steps": 525.0, "medkits": medkits, "return": 525 + 9 * medkits}


def result(medkits: float, zeroed: bool = True, seconds: float | None = 290.4) -> dict[str, Any]:
    found = {name: played(medkits) for name in doom_training.SHOWS}
    more = {"zeroed": played(1.0)} if zeroed else {}
    return {"seconds": seconds, "steps": 123456, "curve": [[1000, 90.0], [2000, 800.0]], **found, **more}


def noted(journal: Path, results: dict[str, Any]) -> None:
    """A journal with a result for the first case of each name."""
    folder = journal.parent / journal.stem
    cases = [*doom.cases(5, None, 1.0, folder), *doom.supreme_cases(None, 1.0, folder)]
    lines = []
    for name, found in results.items():
        case = next(case for case in cases if case.name == name)
        lines.append(json.dumps({"key": case.key, "name": name, "result": found}))
    journal.write_text("".join(f"{line}\n" for line in lines))


BLIND = {"blind script": {"steps": 470.0, "medkits": 21.9}, "random": {"steps": 128.0, "medkits": 1.6}}
CHANGES = {"other": 0.787, "near": 0.593}


def test_first_seed_of_everything_comes_first(tmp_path: Path) -> None:
    trainings = doom.cases(5, None, 1.0, tmp_path)[2:]
    assert [case.arguments["seed"] for case in trainings] == [seed for seed in range(5) for _ in doom.VARIANTS]
    folders = [case.local["path"] for case in [*trainings, *doom.supreme_cases(None, 1.0, tmp_path)[1:]]]
    assert len(set(folders)) == len(folders)


def test_a_report_needs_a_run(tmp_path: Path) -> None:
    noted(tmp_path / "doom.jsonl", {"blind": BLIND, "changes": CHANGES})
    with pytest.raises(SvpgError, match="holds no finished run; give --workers 1 to train"):
        doom.run(tmp_path, tmp_path / "doom.jsonl", 5, False, 0)


def test_report_holds_every_run_and_what_is_missing(tmp_path: Path) -> None:
    noted(
        tmp_path / "doom.jsonl",
        {
            "blind": BLIND,
            "changes": CHANGES,
            "contrastive|golden": result(36.5),
            f"MLP 4800-200-5, backpropagation|{MLP}": result(35.0, zeroed=False, seconds=None),
            "supreme, blind": BLIND,
            "supreme|golden": result(12.5),
        },
    )
    table = doom.run(tmp_path, tmp_path / "doom.jsonl", 5, False, 0)
    assert "| contrastive | golden | 0 | 123,456 | 290 | 36.5 | 525 | 525 | 525 (36) | 525 | 525 |" in table
    assert (
        f"| MLP 4800-200-5, backpropagation | {MLP} | 0 | 123,456 | – | 35.0 | 525 | 525 | 525 (35) | 525 | – |"
        in table
    )
    assert "| blind script | – | – | – | – | 21.9 | 470 |" in table
    text = (tmp_path / "doom.md").read_text()
    lacking = "contrastive, golden: 4; contrastive, float: 5; published, all connections, golden: 5; MLP"
    assert f"{lacking} 4800-200-5, backpropagation, {MLP}: 4; supreme, golden: 2." in text
    assert (
        f"Seeds that live through all 2,100 steps: contrastive, golden 0 of 1; MLP 4800-200-5, backpropagation, {MLP} 0"
        in text
    )
    assert "Trained within 300 seconds:\ncontrastive, golden 1 of 1." in text
    maze = text.split("## Supreme")[1]
    assert "| supreme | golden | 0 | 123,456 | 290 | 12.5 |" in maze
    assert "Greedy returns of validations: seed 0 90, 800." in maze
    assert (tmp_path / "doom.png").exists()


@pytest.mark.parametrize("backend", ["golden", MLP])
def test_a_case_trains_and_shows_the_agent(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shows = {"usual": (1, {"steps": 12}), "blank": (1, {"steps": 12, "blank": 1})}
    monkeypatch.setattr(doom_training, "SHOWS", shows)
    monkeypatch.setattr(doom_training, "ZEROED", 1)
    found = doom_training.train_case(backend, 0, SMALL, 1, 1.0, str(tmp_path / "run"))
    assert found["steps"] >= 90 and found["seconds"] > 0 and len(found["curve"]) >= 1
    assert found["usual"]["steps"] == found["blank"]["steps"] == 12
    assert ("zeroed" in found) == (backend == "golden")
    if backend == "golden":
        assert found["zeroed"]["steps"] >= 90
        again = doom_training.train_case(backend, 0, SMALL, 1, 1.0, str(tmp_path / "run"))
        assert again == {**found, "seconds": None}, "a run that is there goes on, and its time is not known"
