"""Events and activities as golden's kernels make them, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from golden import kernels
from golden.arguments import Observations
from golden.config import DeviceConfig

Ints = NDArray[np.int64]
Events = list[tuple[int, int]]
"""Source and value of each, in order."""


@contextlib.contextmanager
def recorded_events() -> Iterator[Events]:
    """What enters the potentials meanwhile, where ``move`` and ``move_all`` are plain Python; nothing is added."""
    events: Events = []

    def add_event(potential: Ints, weight: Ints, source: int, value: int, low: int, high: int) -> None:
        events.append((int(source), int(value)))

    plain: dict[str, Any] = {name: getattr(kernels, name).py_func for name in ("move", "move_all")}
    with mock.patch.multiple(kernels, add_event=add_event, **plain):
        yield events


def empty(config: DeviceConfig) -> Ints:
    """Room for a value per neuron: potentials, activities or new activities."""
    return np.zeros(config.neurons, dtype=np.int64)


def golden_start(config: DeviceConfig, obs: Observations) -> tuple[Events, Ints]:
    """Events of :func:`golden.kernels.feed_forward` for raw observations (S,), and the activities (N,) after it."""
    q = empty(config)
    with recorded_events() as events:
        kernels.feed_forward.py_func(
            kernels.constants(config),
            None,
            empty(config),
            obs,
            empty(config)[:0],
            empty(config),
            q,
            empty(config),
            np.zeros(2, np.int64),
        )
    return events, q


def golden_moves(config: DeviceConfig, q: Ints, fresh: Ints, groups: int) -> Events:
    """Events of :func:`golden.kernels.move_all`; ``q`` (N,) becomes ``fresh`` (N,) in the first ``groups`` groups."""
    count = np.zeros(2, dtype=np.int64)
    with recorded_events() as events:
        kernels.move_all(kernels.constants(config), None, empty(config), q, fresh, groups, count)
    assert count[0] == len(events)
    return events


def golden_jump(config: DeviceConfig, winners: Ints) -> Ints:
    """Activities (N,) when every group is one-hot, winners (G+1,) as :func:`golden.kernels.hidden_jump` takes them."""
    c, q, count = kernels.constants(config), empty(config), np.zeros(2, dtype=np.int64)
    with recorded_events():
        kernels.hidden_jump.py_func(c, None, empty(config), q, empty(config), winners, count)
        kernels.action_jump.py_func(c, None, empty(config), q, empty(config), winners[config.groups], count)
    return q
