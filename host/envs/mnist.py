"""MNIST as reinforcement learning: one image, one action, one reward."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from PIL import Image

from host.datasets import CLASSES, PIXELS, load_mnist
from host.envs.scaling import check_render_mode

RENDER_SIZE = 280
"""Side of a picture in pixels."""


class MNIST(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Name the digit.

    Observation: float32 (784,) in [0, 1], the pixels of one image, rows top to bottom. Action: 0 to 9.
    Reward: 1 if it is the label, -1 if not. Terminated after one step (the observation stays the image).
    ``info["label"]`` is the label. Each reset draws an image of the split uniformly, with replacement.

    For training on batches take the arrays of :meth:`host.datasets.Dataset.split` instead.

    Parameters
    ----------
    split: ``train`` or ``test``.
    source: folder with IDX files, or ``None``; see :func:`host.datasets.load_mnist`.
    rewards: reward of a right and of a wrong answer; (0, -1) is the form of the BMVC paper.
    render_mode: ``rgb_array`` or ``None``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012  (gymnasium's declaration)

    def __init__(
        self,
        split: str = "train",
        source: str | os.PathLike[str] | None = None,
        rewards: tuple[float, float] = (1.0, -1.0),
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = check_render_mode(render_mode, self.metadata["render_modes"])
        self.observation_space = Box(0.0, 1.0, (PIXELS,), np.float32)
        self.action_space = Discrete(CLASSES)
        self._images, self._labels = load_mnist(source).split(split)
        self._right, self._wrong = (float(reward) for reward in rewards)
        self._index = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw an image; ``options`` are not read."""
        super().reset(seed=seed)
        self._index = int(self.np_random.integers(len(self._labels)))
        return self._images[self._index].copy(), self._info()

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Answer and end the episode."""
        reward = self._right if action == self._labels[self._index] else self._wrong
        return self._images[self._index].copy(), reward, True, False, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The image, dark on light, as uint8 (280, 280, 3), or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        pixels = np.rint(255 * (1 - self._images[self._index].reshape(28, 28))).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((RENDER_SIZE, RENDER_SIZE), Image.Resampling.NEAREST)
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)

    def _info(self) -> dict[str, Any]:
        return {"label": int(self._labels[self._index])}
