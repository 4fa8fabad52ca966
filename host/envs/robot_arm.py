"""A robot arm that reaches for a cube, seen by a camera (PyBullet)."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from host.envs.bullet import (
    Camera,
    Frames,
    Picture,
    Scene,
    Sight,
    check_action,
    check_share,
    check_split,
    engine,
    grey,
    halved,
)
from host.envs.scaling import check_render_mode

SIZE = 64
"""Pixels of an observation to a side."""

MOVES = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, -1))
"""Steps of each action along x, y and z."""

STRIDE = (30, 30, 50)
"""Length of a step along x, y and z, millimetres."""

HOME = (500, 0, 220)
"""Where the gripper starts, millimetres from the foot of the arm."""

REACH = ((-6, 6), (-9, 9), (-4, 0))
"""Steps from home that the gripper can go along x, y and z; it stays where a step would lead farther."""

TOLERANCE = (30, 30, 50)
"""The gripper is at the cube within these distances, millimetres."""

STEPS = 60
"""Steps of an episode."""

NEARER, GOAL = 1.0, 10.0
"""Rewards of a step that leads nearer, and of the one that reaches the cube; 0 for others."""

CUBE = 60
"""Edge of the cube, millimetres."""

SPAN = (100, 180)
"""The cube lies within these distances of home along x and y, millimetres."""

ROWS, COLUMNS, SHEAR = 50, 45, (3, -7)
"""Between rows and columns of the training positions, and what a column's shift along x and a row's along y are, mm."""


def _within(distance: int, span: int) -> int:
    return min(max(distance, -span), span)


TRAINING = tuple(
    (HOME[0] + _within(ROWS * row + SHEAR[0] * column, SPAN[0]), _within(COLUMNS * column + SHEAR[1] * row, SPAN[1]))
    for row in range(-2, 3)
    for column in range(-4, 5)
)
"""The 45 training positions of the cube, millimetres: a grid whose rows and columns are shifted against each other.

Without the shifts, distances along y between cube and gripper, which steps on a grid of its own, were multiples of
15 mm only, and a policy that knew no others lost its way beside fresh cubes (docs/results/robots.md).
"""

TEST = ((575, -35), (425, 35), (535, 155), (465, -155), (520, -70))
"""The 5 test positions; as far as can be from those of training, 32 mm."""

SPLITS = ("training", "test", "fresh")

EYE, LOOK = (1.25, 0.0, 0.85), (0.48, 0.0, 0.1)
"""Where the camera is and what it looks at, metres."""

REST = (0.0, 0.3, 0.0, -2.1, 0.0, 2.4, 0.785)
"""Angles of the joints from which inverse kinematics starts, radians."""

FINGERS, FLANGE = (9, 10), 11
"""Joints of the fingers, and the link between their tips."""

Place = tuple[int, int, int]


class _Workplace:
    """The arm, the table and the cube: one for all environments of a process."""

    def __init__(self) -> None:
        self._scene = Scene()
        self._arm = self._scene.panda()
        self._scene.box((0.9, 1.2, 0.04), (0.55, 0.0, -0.02), (0.36, 0.37, 0.4))
        self._scene.box((8.0, 8.0, 0.04), (0.0, 0.0, -0.7), (0.3, 0.3, 0.32))
        edge = CUBE / 1000
        self._cube = self._scene.box((edge, edge, edge), (0.5, 0.0, edge / 2), (1.0, 0.9, 0.15))
        # Four drawn pixels to one seen: the cube moves smoothly from pixel to pixel.
        self._small, self._large = Camera(2 * SIZE, 2 * SIZE, 34.0, 6.0), Camera(300, 400, 34.0, 6.0)
        self._joints: dict[Place, tuple[float, ...]] = {}
        self._frames = Frames()

    def joints(self, place: Place) -> tuple[float, ...]:
        """Angles of the arm's seven joints (radians) with the gripper at a place (mm), pointing down."""
        if place not in self._joints:
            bullet, client = engine(), self._scene.client
            # From the same start, so that the answer does not depend on where the arm has been.
            self._pose(REST)
            solved = bullet.calculateInverseKinematics(
                self._arm,
                FLANGE,
                [coordinate / 1000 for coordinate in place],
                bullet.getQuaternionFromEuler([np.pi, 0.0, 0.0]),
                maxNumIterations=300,
                residualThreshold=1e-6,
                physicsClientId=client,
            )
            self._joints[place] = tuple(solved[: len(REST)])
        return self._joints[place]

    def _pose(self, joints: tuple[float, ...]) -> None:
        bullet, client = engine(), self._scene.client
        for number, angle in enumerate(joints):
            bullet.resetJointState(self._arm, number, angle, physicsClientId=client)
        for finger in FINGERS:
            bullet.resetJointState(self._arm, finger, 0.04, physicsClientId=client)

    def gripper(self, place: Place) -> NDArray[np.float64]:
        """Where the point between the finger tips is when it should be at a place: metres (3,)."""
        self._pose(self.joints(place))
        state = engine().getLinkState(
            self._arm, FLANGE, computeForwardKinematics=True, physicsClientId=self._scene.client
        )
        return np.array(state[4])

    def _take(self, camera: Camera, place: Place, cube: tuple[int, int]) -> Picture:
        self._pose(self.joints(place))
        self._scene.move(self._cube, (cube[0] / 1000, cube[1] / 1000, CUBE / 2000))
        return camera.take(self._scene.client, EYE, LOOK)

    def look(self, place: Place, cube: tuple[int, int]) -> Picture:
        """Grey pixels (64, 64) of the camera."""
        return self._frames.get((place, cube), lambda: halved(grey(self._take(self._small, place, cube))))

    def picture(self, place: Place, cube: tuple[int, int]) -> Picture:
        """The same view in colour, (300, 400, 3)."""
        return self._take(self._large, place, cube)


@functools.cache
def workplace() -> _Workplace:
    """The workplace of this process."""
    return _Workplace()


class RobotArm(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Reach a cube with the gripper of a Franka Panda.

    A counterpart on PyBullet of the robot arm of the paper, which is in CoppeliaSim. The same: the arm's kind of work,
    five actions, 45 training and 5 test positions, reward and tolerance. Steps are kinematic: the joints take the
    angles that inverse kinematics gives, without dynamics or collisions.

    Observation: float32 (4096,) in [0, 1], grey, 64 rows of 64, of a camera opposite the arm. Action: 0 to 4, see
    :data:`MOVES`: 3 cm along plus or minus x or y, or 5 cm down. Reward: 10 for reaching the cube (within 3, 3 and
    5 cm), which terminates the episode, else 1 for a step that leads nearer, 0 for others. Truncated after 60 steps.
    ``info``: ``success`` 0 or 1; ``shortest``, steps that are enough; ``score``, at the end ``shortest`` over the steps
    taken, or 0 without success (SPL of Anderson et al., "On evaluation of embodied navigation agents", 2018).

    A frame depends on the places of gripper and cube alone; recent ones are kept and equal those drawn anew.

    Parameters
    ----------
    split: positions of the cube: 0 the training ones, 1 the test ones, 2 fresh ones, anywhere between (millimetres).
    scatter: share of the episodes, from 0 to 1, that start with the gripper anywhere within reach instead of at home.
    mirror, blank: see :class:`host.envs.bullet.Sight`.
    render_mode: ``rgb_array`` or ``None``.

    Raises
    ------
    SvpgError: PyBullet is not installed, or a number out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 6}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(
        self,
        split: float = 0,
        scatter: float = 0,
        mirror: float = 0,
        blank: float = 0,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self._split = check_split(split, SPLITS)
        self._scatter = check_share("scatter", scatter)
        self._sight = Sight(mirror, blank)
        self.observation_space = Box(0.0, 1.0, (SIZE * SIZE,), np.float32)
        self.action_space = Discrete(len(MOVES))
        self._workplace = workplace()
        self._moved = [0, 0, 0]
        self._cube = TRAINING[0]
        self._done = self._shortest = 0

    @property
    def place(self) -> Place:
        """Where the gripper is, millimetres."""
        x, y, z = (home + moved * stride for home, moved, stride in zip(HOME, self._moved, STRIDE, strict=True))
        return x, y, z

    @property
    def cube(self) -> tuple[int, int]:
        """Where the cube is, millimetres."""
        return self._cube

    def _away(self) -> tuple[int, ...]:
        """From the gripper to the cube along x, y and z, millimetres."""
        return tuple(to - at for at, to in zip(self.place, (*self._cube, CUBE // 2), strict=True))

    def _is_there(self) -> bool:
        """Whether the gripper is at the cube."""
        return all(abs(away) <= tolerance for away, tolerance in zip(self._away(), TOLERANCE, strict=True))

    def _anywhere(self) -> list[int]:
        """Steps from home to a place within reach, all of them alike."""
        return [int(self.np_random.integers(low, high + 1)) for low, high in REACH]

    def oracle(self) -> int:
        """The action of a player who knows where the cube is; no other needs fewer steps.

        Raises
        ------
        ValueError: the gripper is at the cube.
        """
        for axis, (away, tolerance) in enumerate(zip(self._away(), TOLERANCE, strict=True)):
            if abs(away) > tolerance:
                return MOVES.index(tuple(int(np.sign(away)) * (axis == other) for other in range(3)))
        raise ValueError("the gripper is at the cube")

    def _info(self, score: float = 0.0) -> dict[str, Any]:
        return {"success": int(score > 0), "shortest": self._shortest, "score": score}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode, with the gripper at home unless ``scatter`` says otherwise; ``options`` are not read."""
        super().reset(seed=seed)
        if self._split == "fresh":
            x, y = (int(self.np_random.integers(-span, span + 1)) for span in SPAN)
            self._cube = (HOME[0] + x, HOME[1] + y)
        else:
            places = TRAINING if self._split == "training" else TEST
            self._cube = places[int(self.np_random.integers(len(places)))]
        self._moved, self._done = [0, 0, 0], 0
        if self._scatter > 0 and self.np_random.random() < self._scatter:
            self._moved = self._anywhere()
            while self._is_there():
                self._moved = self._anywhere()
        self._shortest = sum(
            -(-max(abs(away) - tolerance, 0) // stride)
            for away, tolerance, stride in zip(self._away(), TOLERANCE, STRIDE, strict=True)
        )
        return self._observation(), self._info()

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move the gripper by one step."""
        move = MOVES[check_action(action, len(MOVES))]
        before = sum(away * away for away in self._away())
        self._moved = [
            min(max(at + by, low), high) for at, by, (low, high) in zip(self._moved, move, REACH, strict=True)
        ]
        self._done += 1
        reached = self._is_there()
        nearer = sum(away * away for away in self._away()) < before
        reward = GOAL if reached else NEARER * nearer
        info = self._info(self._shortest / self._done if reached else 0.0)
        return self._observation(), reward, reached, self._done >= STEPS and not reached, info

    def _observation(self) -> NDArray[np.float32]:
        return self._sight.observation(lambda: self._workplace.look(self.place, self._cube), SIZE * SIZE)

    def render(self) -> Picture | None:
        """The camera's view as uint8 (300, 400, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return self._workplace.picture(self.place, self._cube)
