"""The furnished room of the navigation task: its plan, the ways through it, and what a camera sees there (PyBullet)."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.envs.bullet import Camera, Picture, Scene, grey

GRID = 0.15
"""Metres between the nodes of the grid."""

LENGTH, WIDTH = 7.2, 5.4
"""Of the room, along x and y, metres."""

COLUMNS, ROWS = 49, 37
"""Nodes of the grid along x and y, those on the walls included."""

RADIUS = 0.25
"""Of the robot, metres."""

HEIGHT = 0.6
"""Of the robot's camera above the floor, metres."""

SIGHT = 1.5
"""The target counts as found from within this distance, metres."""

ROWS_SEEN, COLUMNS_SEEN = 60, 80
"""Pixels of the robot's camera."""

ANGLE = 60.0
"""Its vertical field of view, degrees."""

HALF_VIEW = math.atan(math.tan(math.radians(ANGLE) / 2) * COLUMNS_SEEN / ROWS_SEEN)
"""Half its horizontal field of view, radians."""

HEADINGS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Steps ahead along x and y; turning left goes on to the next one."""

AHEAD, TURN_LEFT, TURN_RIGHT, SHIFT_LEFT, SHIFT_RIGHT = range(5)
ACTIONS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Quarter turns to the left that each action makes first; where it then goes, in quarter turns from ahead."""


@dataclass(frozen=True)
class Furniture:
    """A box on the floor (or at a height).

    Parameters
    ----------
    x, y: extent along each axis, metres.
    z: bottom and top, metres.
    colour: red, green, blue in [0, 1].
    """

    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]
    colour: tuple[float, float, float]


TARGET = Furniture((6.55, 6.95), (4.4, 4.8), (0.0, 1.3), (0.95, 0.1, 0.05))
"""A red cabinet near a corner, with a white top."""

FURNITURE = (
    Furniture((2.4, 3.6), (2.1, 3.0), (0.0, 0.75), (0.55, 0.35, 0.15)),  # table
    Furniture((0.0, 0.9), (3.6, 5.4), (0.0, 0.5), (0.2, 0.3, 0.7)),  # bed
    Furniture((4.5, 6.3), (0.0, 0.8), (0.0, 0.8), (0.25, 0.5, 0.3)),  # sofa
    Furniture((3.0, 4.2), (5.0, 5.4), (0.0, 1.8), (0.3, 0.2, 0.1)),  # shelf
    Furniture((4.95, 5.4), (2.9, 3.35), (0.0, 0.45), (0.85, 0.8, 0.3)),  # stool
    Furniture((0.0, 0.45), (0.6, 1.8), (0.0, 1.0), (0.9, 0.9, 0.85)),  # chest
)
"""Everything that the robot cannot pass, without the target and the walls."""

_THICK = 0.1
WALLS = (
    Furniture((-_THICK, 0.0), (0.0, WIDTH), (0.0, 2.2), (0.75, 0.7, 0.6)),
    Furniture((LENGTH, LENGTH + _THICK), (0.0, WIDTH), (0.0, 2.2), (0.45, 0.55, 0.6)),
    Furniture((0.0, LENGTH), (-_THICK, 0.0), (0.0, 2.2), (0.6, 0.75, 0.65)),
    Furniture((0.0, LENGTH), (WIDTH, WIDTH + _THICK), (0.0, 2.2), (0.85, 0.85, 0.9)),
)

DECORATION = (
    Furniture((6.5, 7.0), (4.35, 4.85), (1.3, 1.4), (1.0, 1.0, 1.0)),  # top of the target
    Furniture((7.18, 7.2), (1.5, 3.0), (1.0, 1.7), (0.1, 0.1, 0.3)),  # window at night
    Furniture((0.0, 0.02), (2.2, 3.2), (0.0, 2.0), (0.35, 0.15, 0.1)),  # door
    Furniture((1.2, 2.2), (0.0, 0.02), (0.9, 1.6), (0.1, 0.1, 0.1)),  # picture
    Furniture((1.5, 2.3), (5.38, 5.4), (0.8, 1.7), (0.2, 0.25, 0.2)),  # picture
    Furniture((3.9, 5.9), (1.6, 4.4), (-0.01, 0.002), (0.5, 0.25, 0.3)),  # carpet
)
"""What the robot passes by or over."""


def middle(item: Furniture) -> tuple[float, float]:
    """Centre of a box on the floor, metres."""
    return sum(item.x) / 2, sum(item.y) / 2


def crosses(item: Furniture, start: NDArray[np.float64], end: tuple[float, float]) -> NDArray[np.bool_]:
    """Whether the straight ways from ``start`` (n, 2) to ``end`` lead through a box, seen from above; (n,)."""
    low, high = np.zeros(len(start)), np.ones(len(start))
    for axis, (near, far) in enumerate((item.x, item.y)):
        way = end[axis] - start[:, axis]
        still = way == 0
        safe = np.where(still, 1.0, way)
        first, last = (near - start[:, axis]) / safe, (far - start[:, axis]) / safe
        outside = (start[:, axis] < near) | (start[:, axis] > far)
        enter = np.where(still, np.where(outside, 2.0, -1.0), np.minimum(first, last))
        leave = np.where(still, 2.0, np.maximum(first, last))
        low, high = np.maximum(low, enter), np.minimum(high, leave)
    return low <= high


class Plan:
    """A room as a grid. A state is ``(row * COLUMNS + column) * 4 + heading``.

    Parameters
    ----------
    furniture, target: what stands in it.

    Attributes
    ----------
    free: bool (ROWS, COLUMNS), the robot can be there.
    distance: float64 (ROWS, COLUMNS), from node to target in metres.
    found: bool (states,), the target is within :data:`SIGHT`, in the field of view, and nothing high is before it.
    following: int64 (states, 5), the state after each action; a blocked robot turns, but stays where it is.
    blocked: bool (states, 5).
    steps: int64 (states,), actions that it takes at least to find the target; −1 where the robot cannot be, or where no
        way leads from.
    """

    def __init__(self, furniture: Sequence[Furniture] = FURNITURE, target: Furniture = TARGET) -> None:
        centre = middle(target)
        x, y = np.meshgrid(np.arange(COLUMNS) * GRID, np.arange(ROWS) * GRID)
        self.free = (x >= RADIUS) & (x <= LENGTH - RADIUS) & (y >= RADIUS) & (y <= WIDTH - RADIUS)
        for item in (*furniture, target):
            aside = np.maximum(np.maximum(item.x[0] - x, x - item.x[1]), 0.0)
            along = np.maximum(np.maximum(item.y[0] - y, y - item.y[1]), 0.0)
            self.free &= np.hypot(aside, along) >= RADIUS
        self.distance = np.hypot(x - centre[0], y - centre[1])
        clear = self.distance <= SIGHT
        nodes = np.stack((x.ravel(), y.ravel()), axis=1)
        for item in furniture:
            if item.z[1] > HEIGHT:
                clear &= ~crosses(item, nodes, centre).reshape(clear.shape)
        bearing = np.arctan2(centre[1] - y, centre[0] - x)
        off = np.abs((bearing[:, :, None] - np.arange(4) * math.pi / 2 + math.pi) % (2 * math.pi) - math.pi)
        self.found = ((off <= HALF_VIEW) & (clear & self.free)[:, :, None]).ravel()
        self.following, self.blocked = self._moves()
        self.steps = self._search()

    def _moves(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        column, row = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
        shape = (ROWS, COLUMNS, 4, len(ACTIONS))
        following, blocked = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        for heading in range(4):
            for action, (turn, way) in enumerate(ACTIONS):
                turned = (heading + turn) % 4
                right, up = HEADINGS[(turned + way) % 4]
                to_column, to_row = (column + right).clip(0, COLUMNS - 1), (row + up).clip(0, ROWS - 1)
                # The outermost nodes lie on the walls and are not free.
                stays = ~self.free[to_row, to_column]
                to_column, to_row = np.where(stays, column, to_column), np.where(stays, row, to_row)
                following[:, :, heading, action] = (to_row * COLUMNS + to_column) * 4 + turned
                blocked[:, :, heading, action] = stays
        return following.reshape(-1, len(ACTIONS)), blocked.reshape(-1, len(ACTIONS))

    def _search(self) -> NDArray[np.int64]:
        """Breadth first, from where the target is found backwards."""
        before: dict[int, list[int]] = {}
        for state in np.flatnonzero(np.repeat(self.free.ravel(), 4)).tolist():
            for target in self.following[state].tolist():
                before.setdefault(target, []).append(state)
        steps = np.full(len(self.found), -1, dtype=np.int64)
        waiting = deque(np.flatnonzero(self.found).tolist())
        steps[list(waiting)] = 0
        while waiting:
            state = waiting.popleft()
            for earlier in before.get(state, ()):
                if steps[earlier] < 0:
                    steps[earlier] = steps[state] + 1
                    waiting.append(earlier)
        return steps


@functools.cache
def plan() -> Plan:
    """The plan of the room."""
    return Plan()


class Room:
    """A room in PyBullet, with a robot: one of a kind for all environments of a process."""

    def __init__(self) -> None:
        self._scene = Scene()
        floor = Furniture((0.0, LENGTH), (0.0, WIDTH), (-0.1, 0.0), (0.5, 0.47, 0.42))
        bodies = [self._box(item) for item in (floor, *WALLS, *FURNITURE, TARGET, *DECORATION)]
        first = 1 + len(WALLS)
        # The first decoration is the top of the target.
        self._furniture = bodies[first : first + len(FURNITURE)]
        self._target = bodies[first + len(FURNITURE) : first + len(FURNITURE) + 2]
        self._standing: tuple[tuple[Furniture, ...], Furniture] = (FURNITURE, TARGET)
        self._robot = (
            self._scene.box((0.4, 0.34, 0.3), (0.0, 0.0, -9.0), (0.15, 0.15, 0.2)),
            self._scene.box((0.12, 0.24, 0.3), (0.0, 0.0, -9.0), (0.9, 0.6, 0.1)),
        )
        self._eye = Camera(ROWS_SEEN, COLUMNS_SEEN, ANGLE, 12.0)
        self._above = Camera(300, 400, 50.0, 12.0)

    def _box(self, item: Furniture) -> int:
        sides = (item.x, item.y, item.z)
        return self._scene.box(
            [high - low for low, high in sides], [(low + high) / 2 for low, high in sides], item.colour
        )

    def arrange(self, furniture: tuple[Furniture, ...], target: Furniture) -> None:
        """Put the furniture and the target, of the sizes of :data:`FURNITURE` and :data:`TARGET`, somewhere else."""
        if (furniture, target) == self._standing:
            return
        for body, item in zip(self._furniture, furniture, strict=True):
            self._scene.move(body, (*middle(item), sum(item.z) / 2))
        for body, item in zip(self._target, (TARGET, DECORATION[0]), strict=True):
            self._scene.move(body, (*middle(target), sum(item.z) / 2))
        self._standing = (furniture, target)

    def look(self, x: float, y: float, yaw: float) -> Picture:
        """Grey pixels (60, 80) of the robot's camera; metres and radians."""
        ahead = (x + math.cos(yaw), y + math.sin(yaw), HEIGHT)
        return grey(self._eye.take(self._scene.client, (x, y, HEIGHT), ahead))

    def picture(self, x: float, y: float, yaw: float) -> Picture:
        """The room from above, with the robot, (300, 400, 3)."""
        for body, ahead, height in zip(self._robot, (0.0, 0.13), (0.15, 0.45), strict=True):
            self._scene.move(body, (x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), height), yaw)
        drawn = self._above.take(
            self._scene.client, (LENGTH / 2, WIDTH / 2 - 0.01, 6.6), (LENGTH / 2, WIDTH / 2, 0.0), (0.0, 1.0, 0.0)
        )
        # Out of its own sight.
        for body in self._robot:
            self._scene.move(body, (0.0, 0.0, -9.0))
        return drawn


@functools.cache
def room() -> Room:
    """The room of this process."""
    return Room()
