"""The compact core: its program against golden, its hardware against both, bit by bit and cycle by cycle."""

from __future__ import annotations

import pytest

from golden.config import DeviceConfig
from hdl.options import CoreOptions
from sim.bench.course import Course
from tests.test_hdl_core import check

SMALL = DeviceConfig(inputs=3, groups=3, group_size=4, actions=3, lanes=4)
LEARNS = CoreOptions(compact=True, softmax_lanes=1).learning()


def test_a_compact_core_equals_golden() -> None:
    check(Course(SMALL, LEARNS, decisions=4, frames=30, resets=8, seed=1), complete=False)
