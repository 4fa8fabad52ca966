"""The picture of a training: validation is on the axis that has its unit."""

from __future__ import annotations

import numpy as np
import pytest

from host.plots import learning_curve
from host.tasks import get_task


@pytest.mark.parametrize(
    ("name", "axis", "unit"),
    [("inverted-pendulum", 0, "return"), ("robot-arm", 1, "score"), ("mnist", 0, "accuracy")],
)
def test_validations_are_drawn_where_they_can_be_read(name: str, axis: int, unit: str) -> None:
    task, count = get_task(name), 40
    validation = np.full(count, np.nan)
    validation[[19, 39]] = 0.25, 0.75
    returns = np.where(np.arange(count) == 7, -900.0, -20.0)
    metrics = {"episode": np.arange(1.0, count + 1), "return": returns, "validation": validation}
    figure = learning_curve(metrics, task, task.settings("golden", "ppo").training)
    drawn = [[line.get_ydata() for line in axes.get_lines()] for axes in figure.axes]
    assert [any(np.array_equal(line, [0.25, 0.75]) for line in lines) for lines in drawn] == [
        number == axis for number in range(len(figure.axes))
    ]
    assert figure.axes[axis].get_ylabel() == unit
    low, high = figure.axes[0].get_ylim()
    assert low == -20 and high > 0.75 * (axis == 0)
