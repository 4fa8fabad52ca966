"""The example in docs/architecture.md is what the cost model says."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np

from sim.cost import courses, predict
from tests.test_cost import PENDULUM, PENDULUM_OPTIONS, golden_with, trained, visited

DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"


def test_the_life_of_a_decision_is_as_told() -> None:
    text = DOCUMENT.read_text()
    table = text.split("<!-- life -->")[1].split("<!-- /life -->")[0]
    rows = [line.strip("|").split("|") for line in table.strip().splitlines()[2:]]
    course = courses(golden_with(PENDULUM, *trained()), PENDULUM_OPTIONS, visited(1), np.array([0], dtype=np.uint64))[0]
    cost = predict(PENDULUM, PENDULUM_OPTIONS, course)
    told = {
        cells[0].strip(): [tuple(map(int, cell.split("–"))) for cell in cells[1:] if cell.strip() != "–"]
        for cells in rows
    }
    assert told
    for unit, spans in told.items():
        busy = sorted(cost.busy[unit])
        # Between two passes a unit rests for longer than within one.
        cuts = [0, *(i + 1 for i, gap in enumerate(np.diff(busy)) if gap > 6), len(busy)]
        assert spans == [(busy[a], busy[b - 1]) for a, b in itertools.pairwise(cuts)], unit
    assert int(re.search(r"drawn, in cycle (\d+)", text).group(1)) == cost.cycles
