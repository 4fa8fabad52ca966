"""docs/verification.md names the benches and the points that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim.bench.course import LEARNING, SPIKE_LEARNING, Course
from sim.bench.coverage import Coverage

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")


def test_every_bench_is_listed() -> None:
    benches = [path.stem for path in (ROOT / "sim" / "bench").glob("*.py") if "@cocotb.test" in path.read_text()]
    block = TEXT.partition("## Benches")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", block, re.MULTILINE) == sorted(benches)
    tests = [path.stem.removeprefix("test_hdl_") for path in (ROOT / "tests").glob("test_hdl_*.py")]
    assert sorted([*tests, "speed"]) == sorted(benches)


def test_every_proof_is_listed() -> None:
    block = TEXT.partition("<!-- proofs -->")[2].partition("<!-- /proofs -->")[0]
    classes = re.findall(r"^class (\w+)\(", (ROOT / "sim" / "properties.py").read_text(), re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \|", block, re.MULTILINE) == classes


@pytest.mark.parametrize(("name", "course"), [("coverage", LEARNING), ("coverage of spikes", SPIKE_LEARNING)])
def test_every_point_of_the_coverage_is_listed(name: str, course: Course) -> None:
    block = TEXT.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    points = [(int(count), point) for count, point in re.findall(r"^ *(\d+)  (.+)$", block, re.MULTILINE)]
    assert [point for _, point in points] == Coverage(course.config, course.options.abilities).points
    assert all(count for count, _ in points)
