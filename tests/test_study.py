"""Studies: finished cases are remembered, interrupted studies go on, tables say what was measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from golden.errors import SvpgError
from host.cli import main
from host.study import control, rules, spikes, widths
from host.study.mnist import MLP, train_case
from host.study.runner import Case, Finished, markdown_table, run_cases


def record(path: str, value: int) -> dict[str, Any]:
    """A case that leaves a trace of having run."""
    with open(path, "a") as stream:
        stream.write(f"{value}\n")
    return {"value": value * 10}


def fail(path: str) -> dict[str, Any]:
    raise SvpgError("this case fails")


def make_cases(trace: Path, count: int) -> list[Case]:
    return [Case(f"case {n}", record, {"path": str(trace), "value": n}) for n in range(count)]


def test_results_come_in_the_order_of_the_cases_and_none_runs_twice(tmp_path: Path) -> None:
    trace, journal = tmp_path / "trace", tmp_path / "journal.jsonl"
    first = run_cases(make_cases(trace, 2), journal, workers=1)
    again = run_cases(make_cases(trace, 3), journal, workers=1)
    assert [item.result["value"] for item in first] == [0, 10]
    assert [item.result["value"] for item in again] == [0, 10, 20]
    assert sorted(trace.read_text().split()) == ["0", "1", "2"]


def test_without_workers_nothing_runs_and_what_is_finished_is_there(tmp_path: Path) -> None:
    trace, journal = tmp_path / "trace", tmp_path / "journal.jsonl"
    assert run_cases(make_cases(trace, 2), journal, workers=0) == []
    run_cases(make_cases(trace, 1), journal, workers=1)
    assert [item.result["value"] for item in run_cases(make_cases(trace, 2), journal, workers=0)] == [0]
    assert trace.read_text().split() == ["0"]


def test_a_case_whose_line_was_cut_short_runs_again(tmp_path: Path) -> None:
    trace, journal = tmp_path / "trace", tmp_path / "journal.jsonl"
    run_cases(make_cases(trace, 2), journal, workers=1)
    journal.write_bytes(journal.read_bytes()[:-5])
    run_cases(make_cases(trace, 2), journal, workers=1)
    assert len(trace.read_text().split()) == 3
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 2


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("nonsense\n")
    with pytest.raises(SvpgError, match="line 1 is damaged"):
        run_cases([], journal, workers=1)


def test_a_failing_case_ends_the_study_with_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="this case fails"):
        run_cases([Case("bad", fail, {"path": ""})], tmp_path / "journal.jsonl", workers=1)


def wait(path: str) -> dict[str, Any]:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)
    return {}


def test_workers_end_when_the_study_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nfrom host.study.runner import Case, run_cases\nfrom tests.test_study import wait\n"
        f"if __name__ == '__main__':\n    case = Case('w', wait, {{'path': {str(tmp_path / 'worker')!r}}})\n"
        f"    run_cases([case], Path({str(tmp_path / 'journal')!r}), 1)\n"
    )
    (tmp_path / "main.py").write_text(script)
    root = Path(__file__).parents[1]
    study = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py")], env={**os.environ, "PYTHONPATH": str(root)}, cwd=tmp_path
    )
    deadline = time.monotonic() + 50
    while not ((tmp_path / "worker").exists() and (tmp_path / "worker").read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int((tmp_path / "worker").read_text())
    study.kill()
    study.wait()
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{worker}").exists(), "the worker outlived its study"


def test_other_arguments_are_another_case() -> None:
    assert Case("a", record, {"value": 1}).key != Case("a", record, {"value": 2}).key
    assert Case("a", record, settings="rate = 1").key != Case("a", record, settings="rate = 2").key


def test_a_folder_is_no_part_of_a_case(tmp_path: Path) -> None:
    one, other = (Case("a", record, {"value": 1}, {"path": str(tmp_path / name)}) for name in ("one", "other"))
    assert run_cases([one], tmp_path / "journal.jsonl", workers=1)[0].result == {"value": 10}
    assert run_cases([other], tmp_path / "journal.jsonl", workers=0)[0].result == {"value": 10}


def test_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_every_case_of_every_study_names_settings_that_exist() -> None:
    every = [*rules.cases(1, [1]), *widths.cases(1, True), *control.cases(3, 1), *spikes.cases(5, False)]
    assert len({case.key for case in every}) == len(every)
    from host.tasks import get_task

    for case in every:
        task = case.arguments.get("task", "mnist")
        backend = case.arguments.get("backend", "golden")
        algorithm = "ppo" if task != "mnist" else "reinforce"
        defaults = get_task(task).defaults("float" if backend == MLP else backend, algorithm)
        defaults.override(case.arguments.get("assignments", []))


@pytest.mark.parametrize("task", ["mnist", "inverted-pendulum"])
def test_every_format_of_the_inference_grid_can_be_built(task: str) -> None:
    from host.tasks import get_task

    variants = widths._variants(widths._fitting(get_task(task).defaults("golden", "ppo").network))
    assert len(variants) == len({name for name, _ in variants}) > 30


@pytest.mark.parametrize("backend", ["golden", "float", MLP])
def test_a_few_batches_of_mnist_beat_chance(backend: str) -> None:
    result = train_case(backend, seed=1, marks=[10, 60], assignments=[])
    assert result["accuracy"][1] > 0.4
    if backend != MLP:
        # Without S->A the hidden layer is the only way from the image to the action.
        assert result["zeroed"] < 0.2
    assert (result["events"] is not None) == (backend == "golden")


def test_rules_report_holds_every_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(cases: list[Case], journal: Path, workers: int) -> list[Finished]:
        outcome = {"accuracy": [0.5, 0.625], "zeroed": 0.1, "events": 3.0, "row_words": 4.0, "seconds": 1.0}
        return [Finished(case, outcome) for case in cases]

    monkeypatch.setattr(rules, "run_cases", pretend)
    rules.run(tmp_path, tmp_path / "journal.jsonl", seeds=2, quick=True, workers=1)
    text = (tmp_path / "rules.md").read_text()
    for name, *_ in rules.VARIANTS:
        assert f"| {name} |" in text
    assert "0.625 ± 0.000" in text
    assert (tmp_path / "rules.png").stat().st_size > 10_000


def test_study_refuses_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "rules", "--out", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rules", "widths", "control", "spikes"])
def test_quick_study_from_end_to_end(name: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    assert main(["study", name, "--quick", "--out", str(tmp_path), "--journal", str(journal)]) == 0
    assert (tmp_path / f"{name}.md").read_text().startswith("# ")
    assert (tmp_path / f"{name}.png").exists()
