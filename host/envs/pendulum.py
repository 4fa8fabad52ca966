"""The inverted pendulum of the paper: gymnasium's MuJoCo model with a longer pole and five forces."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium
import gymnasium.envs.mujoco
import mujoco
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from golden.errors import SvpgError
from host.envs.drawing import CartPoleScene
from host.envs.scaling import check_render_mode, to_unit

FORCES = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""Motor commands of the five actions; the model's gear of 100 makes them -300 to 300 newtons."""

STATE_SCALE = (2.5, 5.0, 0.6, 0.8)
"""Factors of cart position (m), pole angle (rad), cart velocity (m/s) and pole velocity (rad/s)."""

ANGLE_LIMIT = 0.2
"""The episode ends beyond this pole angle, radians."""

FRAME_SKIP = 2
"""MuJoCo steps of 0.02 s per action."""

RESET_NOISE = 0.01
"""Positions and velocities start uniform in plus or minus this."""

RAIL = 1.0
"""Half the length of the rail, metres."""


def pendulum_model(pole_length: float, pole_thickness: float) -> mujoco.MjModel:
    """gymnasium's ``inverted_pendulum.xml`` with another pole, compiled by MuJoCo.

    Parameters
    ----------
    pole_length: height of the pole's end above the hinge, metres (gymnasium: 0.6).
    pole_thickness: radius of the capsule, metres (gymnasium: 0.049). Mass and inertia follow from both.

    Raises
    ------
    SvpgError: if a number is not positive.
    """
    for name, value in (("pole_length", pole_length), ("pole_thickness", pole_thickness)):
        if not (math.isfinite(value) and value > 0):
            raise SvpgError(f"{name} = {value!r} is out of range; give a positive number of metres")
    path = Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "inverted_pendulum.xml"
    spec = mujoco.MjSpec.from_file(str(path))
    pole = spec.geom("cpole")
    pole.fromto[5] = pole_length
    pole.size[0] = pole_thickness
    return spec.compile()


class InvertedPendulum(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Balance a pole on a cart.

    Observation: float32 (4,) in [0, 1]: cart position, pole angle, cart velocity, pole velocity, multiplied by
    (2.5, 5, 0.6, 0.8), clipped to plus or minus 1 and mapped to [0, 1]; so ±0.4 m, ±0.2 rad, ±1.67 m/s and
    ±1.25 rad/s fill the range. Action: 0 to 4, the force of :data:`FORCES` for 0.04 s. Reward: 1 per step, so
    the return is the number of steps. Terminated when the pole leans beyond 0.2 rad; as registered,
    truncated after 200 steps. Start: all four state numbers uniform in ±0.01.

    Dynamics, start and termination are those of gymnasium's ``InvertedPendulum-v5`` to the bit; MuJoCo is
    stepped directly because the wrappers there cost more time than the physics. That environment pays 0 for
    the last step of a fall, this one 1, as its first versions and the paper's experiments did.

    Parameters
    ----------
    pole_length, pole_thickness: see :func:`pendulum_model`.
    render_mode: ``rgb_array`` or ``None``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(self, pole_length: float = 1.5, pole_thickness: float = 0.05, render_mode: str | None = None) -> None:
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = Box(0.0, 1.0, (4,), np.float32)
        self.action_space = Discrete(len(FORCES))
        self.model = pendulum_model(pole_length, pole_thickness)
        self.data = mujoco.MjData(self.model)
        self._scale = np.array(STATE_SCALE)
        self._scene = CartPoleScene(
            rail=RAIL, pole_length=pole_length, pole_thickness=2 * pole_thickness, cart_length=0.4
        )

    @property
    def state(self) -> NDArray[np.float64]:
        """Cart position (m), pole angle (rad), cart velocity (m/s), pole velocity (rad/s); float64 (4,)."""
        return np.concatenate((self.data.qpos, self.data.qvel))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` are not read."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.np_random.uniform(-RESET_NOISE, RESET_NOISE, 2)
        self.data.qvel[:] = self.np_random.uniform(-RESET_NOISE, RESET_NOISE, 2)
        mujoco.mj_forward(self.model, self.data)
        return to_unit(self.state, self._scale), {}

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Apply one force for 0.04 s."""
        if not 0 <= action < len(FORCES):
            raise SvpgError(f"action = {action!r} is out of range; give an integer from 0 to {len(FORCES) - 1}")
        self.data.ctrl[0] = FORCES[action]
        mujoco.mj_step(self.model, self.data, FRAME_SKIP)
        state = self.state
        # A simulation that diverged counts as a fall: NaN is not below the limit.
        upright = abs(state[1]) <= ANGLE_LIMIT
        return to_unit(state, self._scale), 1.0, not upright, False, {}

    def render(self) -> NDArray[np.uint8] | None:
        """The current state as uint8 (300, 400, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return self._scene.draw(float(self.data.qpos[0]), float(self.data.qpos[1]))
