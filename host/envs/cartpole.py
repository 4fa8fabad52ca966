"""gymnasium's cart-pole with observations in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray

from golden.errors import SvpgError
from host.envs.drawing import CartPoleScene
from host.envs.scaling import check_render_mode, to_unit

STATE_BOUNDS = (2.4, 2.0, 12 * np.pi / 180, 3.0)
"""What fills the range: cart position (m), cart velocity (m/s), pole angle (rad), pole velocity (rad/s)."""


class CartPole(CartPoleEnv):
    """Balance a pole on a cart with two forces.

    Observation: float32 (4,) in [0, 1]: cart position, cart velocity, pole angle, pole velocity, divided by
    (2.4, 2, 0.2094, 3), clipped to plus or minus 1 and mapped to [0, 1]. Position and angle are bounded by the
    limits that end the episode; of the velocities a random policy exceeds 2 m/s never in 100 episodes and
    3 rad/s neither, a balancing policy stays below a quarter of both. Action: 0 pushes left, 1 right, with
    10 newtons for 0.02 s. Reward: 1 per step. Terminated when the cart is beyond 2.4 m or the pole beyond
    12 degrees; as registered, truncated after 200 steps. Start: all four state numbers uniform in ±0.05.

    Dynamics, start and termination are those of gymnasium's ``CartPole-v1``.

    Parameters
    ----------
    render_mode: ``rgb_array`` or ``None``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=check_render_mode(render_mode, self.metadata["render_modes"]))
        self.observation_space = Box(0.0, 1.0, (4,), np.float32)
        self._scale = 1.0 / np.array(STATE_BOUNDS)
        self._scene = CartPoleScene(
            rail=self.x_threshold, pole_length=2 * self.length, pole_thickness=0.08, cart_length=0.5
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; ``options`` may hold ``low`` and ``high`` of the start, as in gymnasium."""
        _, info = super().reset(seed=seed, options=options)
        return self._observe(), info

    def step(self, action: int | NDArray[Any]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Push for 0.02 s."""
        _, reward, terminated, truncated, info = super().step(action)
        return self._observe(), float(reward), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """The current state as uint8 (300, 400, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        position, _, angle, _ = self._physical_state()
        return self._scene.draw(float(position), float(angle))

    def _observe(self) -> NDArray[np.float32]:
        return to_unit(self._physical_state(), self._scale)

    def _physical_state(self) -> NDArray[np.float64]:
        """Cart position (m), cart velocity (m/s), pole angle (rad), pole velocity (rad/s); float64 (4,)."""
        if self.state is None:
            raise SvpgError("the environment has no state yet; call reset first")
        return self.state
