"""Registers in a row."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any


def delay(stages: Sequence[Any]) -> list[Any]:
    """Statements by which every stage takes over from the one before."""
    return [later.eq(earlier) for earlier, later in itertools.pairwise(stages)]
