"""Environments, registered with gymnasium when this package is imported.

``svpg/InvertedPendulum-v0``, ``svpg/CartPole-v0``, ``svpg/MNIST-v0``, ``svpg/DoomHealthGathering-v0``,
``svpg/RobotArm-v0``, ``svpg/RobotNavigation-v0`` and ``svpg/RobotNavigationVaried-v0``: observations float32 in [0, 1],
discrete actions.
``gymnasium.make("host.envs:svpg/CartPole-v0")`` imports and makes one in one go.
"""

from __future__ import annotations

import gymnasium

from host.envs.cartpole import CartPole
from host.envs.doom import DoomHealthGathering
from host.envs.mnist import MNIST
from host.envs.pendulum import InvertedPendulum
from host.envs.robot_arm import RobotArm
from host.envs.robot_navigation import RobotNavigation
from host.envs.robot_navigation_varied import RobotNavigationVaried

__all__ = [
    "MNIST",
    "CartPole",
    "DoomHealthGathering",
    "InvertedPendulum",
    "RobotArm",
    "RobotNavigation",
    "RobotNavigationVaried",
]

# The checker and the order enforcer cost as much as a simulation step; the tests run the checker instead.
for _name, _limit in (
    ("InvertedPendulum", 200),
    ("CartPole", 200),
    ("MNIST", None),
    ("DoomHealthGathering", None),
    ("RobotArm", None),
    ("RobotNavigation", None),
    ("RobotNavigationVaried", None),
):
    gymnasium.register(
        id=f"svpg/{_name}-v0",
        entry_point=f"host.envs:{_name}",
        max_episode_steps=_limit,
        disable_env_checker=True,
        order_enforce=False,
    )
