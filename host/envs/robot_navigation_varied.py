"""Navigation in a room whose furniture and target stand elsewhere in each episode (PyBullet)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from host.envs.bullet import check_share
from host.envs.robot_navigation import FARTHEST, NEAREST, SPLITS, RobotNavigation
from host.envs.room import FURNITURE, LENGTH, TARGET, WIDTH, Furniture, Plan, Room

ROOMS = 1 << 31
"""Rooms of each split that an episode draws from."""

APART = 0.75
"""Least distance between two pieces, metres: the robot fits between them wherever its grid lies."""

TRIES = 40
"""Places that are tried for a piece before the whole room is drawn anew."""

ENOUGH = 400
"""A room has at least so many states to start from, else it is drawn anew."""


def _moved(item: Furniture, x: float, y: float) -> Furniture:
    """A piece with its lower corner at (x, y)."""
    return Furniture((x, x + item.x[1] - item.x[0]), (y, y + item.y[1] - item.y[0]), item.z, item.colour)


def _near(one: Furniture, other: Furniture) -> bool:
    return all(
        low[0] < high[1] + APART and high[0] < low[1] + APART for low, high in ((one.x, other.x), (one.y, other.y))
    )


def _draw(rng: np.random.Generator) -> tuple[Furniture, ...] | None:
    """The target, then the furniture, at places drawn one after the other; ``None`` if they do not fit."""
    placed: list[Furniture] = []
    for item in (TARGET, *FURNITURE):
        for _ in range(TRIES):
            share = rng.random(2)
            x = float(share[0]) * (LENGTH - (item.x[1] - item.x[0]))
            y = float(share[1]) * (WIDTH - (item.y[1] - item.y[0]))
            moved = _moved(item, x, y)
            if not any(_near(moved, other) for other in placed):
                placed.append(moved)
                break
        else:
            return None
    return tuple(placed)


class Layout:
    """Where everything stands in one room.

    Parameters
    ----------
    split: ``training`` or ``test``; the two draw from random streams of their own.
    number: of the room, from 0 up to :data:`ROOMS`.

    Attributes
    ----------
    furniture, target: as in :mod:`host.envs.room`, at other places.
    plan: the ways through it.
    starts: int64 (n,), states that episodes start in, ``n`` at least :data:`ENOUGH`.
    """

    def __init__(self, split: str, number: int) -> None:
        rng = np.random.Generator(np.random.PCG64([SPLITS.index(split), number]))
        while True:
            placed = _draw(rng)
            if placed is None:
                continue
            self.target, self.furniture = placed[0], placed[1:]
            self.plan = Plan(self.furniture, self.target)
            self.starts = np.flatnonzero((self.plan.steps >= NEAREST) & (self.plan.steps <= FARTHEST))
            if len(self.starts) >= ENOUGH:
                return


@functools.cache
def varied_room() -> Room:
    """The room of this process whose furniture is moved."""
    return Room()


class RobotNavigationVaried(RobotNavigation):
    """Find and face the red cabinet, which stands elsewhere in each episode, as all the furniture does.

    Walls, door, window, pictures and carpet stay. Places are uniform, at least :data:`APART` from each other, and
    the pieces keep their sizes and directions. Everything else is as in
    :class:`host.envs.robot_navigation.RobotNavigation`. No room of training is one of tests.

    Parameters
    ----------
    split: rooms: 0 for training, 1 for tests.
    scatter: share of the episodes, from 0 to 1, that start anywhere out of which a way leads, near the target too.
    mirror, blank: see :class:`host.envs.bullet.Sight`.
    render_mode: ``rgb_array`` or ``None``.

    Raises
    ------
    SvpgError: PyBullet is not installed, or a number out of range.
    """

    def __init__(
        self,
        split: float = 0,
        scatter: float = 0,
        mirror: float = 0,
        blank: float = 0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split, mirror, blank, render_mode)
        self._scatter = check_share("scatter", scatter)
        self.layout = Layout(self._split, 0)

    def _open(self) -> Room:
        return varied_room()

    def _starts(self) -> NDArray[np.int64]:
        self.layout = Layout(self._split, int(self.np_random.integers(ROOMS)))
        self._plan = self.layout.plan
        if self._scatter > 0 and self.np_random.random() < self._scatter:
            return np.flatnonzero(self._plan.steps >= 1)
        return self.layout.starts

    def _arrange(self) -> None:
        self._room.arrange(self.layout.furniture, self.layout.target)
