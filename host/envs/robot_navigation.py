"""A mobile robot that looks for a cabinet in a furnished room, through its own camera (PyBullet)."""

from __future__ import annotations

import functools
import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from host.envs.bullet import Picture, Sight, check_action, check_split
from host.envs.room import ACTIONS, COLUMNS, COLUMNS_SEEN, GRID, ROWS_SEEN, Room, plan, room
from host.envs.scaling import check_render_mode

STEPS = 200
"""Steps of an episode."""

FOUND, BLOCKED, NEARER, FARTHER = 50.0, -5.0, 1.0, -1.0
"""Rewards of a step: the target is in view, the way was blocked, it led nearer to the target, or not."""

NOISE = (0.01, 0.02)
"""Deviation of the robot from its node along x and y (metres), and from its heading (radians); cut at twice that."""

FARTHEST, NEAREST = 60, 18
"""Starts are at least and at most this many steps from finding the target."""

SPLITS = ("training", "test")

STARTS = 5
"""Of each so many nodes that the robot may start from, one is for tests."""


@functools.cache
def starts(split: str) -> NDArray[np.int64]:
    """States (n,) that episodes start in, of ``training`` or ``test``; the two have no node in common."""
    steps = plan().steps
    able = np.flatnonzero((steps >= NEAREST) & (steps <= FARTHEST))
    nodes = np.unique(able // 4)
    # A fixed shuffle; sorted, so that it does not matter how it came about.
    tests = np.sort(np.random.Generator(np.random.PCG64(1)).permutation(nodes)[: len(nodes) // STARTS])
    return able[np.isin(able // 4, tests) == (split == "test")]


class RobotNavigation(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Find and face a red cabinet in a furnished room of 7.2 by 5.4 metres.

    A counterpart on PyBullet of the navigation task of the paper, which is in AI2-THOR. The same: a robot that sees
    with its own camera on a grid of 0.15 m, five actions, 200 steps, the reward, and starts for training and for tests
    that lie apart. The room is another one.

    Observation: float32 (4800,) in [0, 1], grey, 60 rows of 80. Action: 0 ahead, 1 and 2 turn left or right by 90
    degrees, then ahead, 3 and 4 sideways to the left or right; each by one node of the grid. A robot that is blocked
    turns, but stays where it is. It stands beside its node and heading by a little (normal, :data:`NOISE`), drawn anew
    for each step. Reward: 50 when the cabinet is in view from within 1.5 m, which terminates the episode; −5 when
    blocked; else 1 for a step nearer to it in a straight line, −1 for others. Truncated after 200 steps. ``info``:
    ``success`` 0 or 1; ``shortest``, length of the shortest way in steps; ``score``, at the end ``shortest`` over
    the steps taken, or 0 without success (SPL, as in :class:`host.envs.robot_arm.RobotArm`).

    Parameters
    ----------
    split: starts: 0 for training, 1 for tests.
    mirror, blank: see :class:`host.envs.bullet.Sight`.
    render_mode: ``rgb_array`` or ``None``.

    Raises
    ------
    SvpgError: PyBullet is not installed, or a number out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 6}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(self, split: float = 0, mirror: float = 0, blank: float = 0, render_mode: str | None = None) -> None:
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self._split = check_split(split, SPLITS)
        self._sight = Sight(mirror, blank)
        self.observation_space = Box(0.0, 1.0, (ROWS_SEEN * COLUMNS_SEEN,), np.float32)
        self.action_space = Discrete(len(ACTIONS))
        self._plan, self._room = plan(), self._open()
        self.state = int(starts(self._split)[0])
        self._pose = (0.0, 0.0, 0.0)
        self._done = self._shortest = 0

    def _open(self) -> Room:
        """The room that pictures are taken of."""
        return room()

    def _starts(self) -> NDArray[np.int64]:
        """States that the episode that begins may start in."""
        return starts(self._split)

    def _arrange(self) -> None:
        """Before each picture: environments of a process share a room."""

    def _look(self) -> Picture:
        self._arrange()
        return self._room.look(*self._pose)

    def oracle(self) -> int:
        """The first action of a shortest way.

        Raises
        ------
        ValueError: the target is in view.
        """
        if self._plan.found[self.state]:
            raise ValueError("the target is in view")
        return int(self._plan.steps[self._plan.following[self.state]].argmin())

    def _info(self, score: float = 0.0) -> dict[str, Any]:
        return {"success": int(score > 0), "shortest": self._shortest, "score": score}

    def _stand(self) -> NDArray[np.float32]:
        """Take a pose near the node, and look."""
        node, heading = divmod(self.state, 4)
        row, column = divmod(node, COLUMNS)
        aside, along, turned = np.clip(self.np_random.standard_normal(3), -2.0, 2.0)
        self._pose = (
            column * GRID + NOISE[0] * float(aside),
            row * GRID + NOISE[0] * float(along),
            heading * math.pi / 2 + NOISE[1] * float(turned),
        )
        return self._sight.observation(self._look, ROWS_SEEN * COLUMNS_SEEN)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` are not read."""
        super().reset(seed=seed)
        able = self._starts()
        self.state = int(able[int(self.np_random.integers(len(able)))])
        self._done, self._shortest = 0, int(self._plan.steps[self.state])
        return self._stand(), self._info()

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go to the next node, if nothing is in the way."""
        chosen = check_action(action, len(ACTIONS))
        before, blocked = self.state, bool(self._plan.blocked[self.state, chosen])
        self.state = int(self._plan.following[before, chosen])
        self._done += 1
        found = bool(self._plan.found[self.state])
        distance = self._plan.distance.ravel()
        if found:
            reward = FOUND
        elif blocked:
            reward = BLOCKED
        else:
            reward = NEARER if distance[self.state // 4] < distance[before // 4] else FARTHER
        info = self._info(self._shortest / self._done if found else 0.0)
        return self._stand(), reward, found, self._done >= STEPS and not found, info

    def render(self) -> Picture | None:
        """The room from above as uint8 (300, 400, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        self._arrange()
        return self._room.picture(*self._pose)
