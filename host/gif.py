"""Animated pictures of an episode."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from golden.errors import SvpgError
from golden.files import write_atomically

COLOURS = 64


class Animation:
    """Collects frames and writes them as a GIF that loops.

    Parameters
    ----------
    fps: frames per second of the episode.
    every: keep one frame of this many; the animation keeps its speed.
    """

    def __init__(self, fps: float, every: int = 2) -> None:
        self._milliseconds = 1000 * every / fps
        self._every = every
        self._seen = 0
        self._frames: list[Image.Image] = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """One frame, uint8 (height, width, 3)."""
        if self._seen % self._every == 0:
            self._frames.append(Image.fromarray(frame).quantize(COLOURS))
        self._seen += 1

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file.

        Raises
        ------
        SvpgError: no frames, or the file cannot be written.
        """
        if not self._frames:
            raise SvpgError(f"{path}: there are no frames to draw")
        first, *rest = self._frames
        write_atomically(
            path,
            lambda stream: first.save(
                stream, format="GIF", save_all=True, append_images=rest, duration=round(self._milliseconds), loop=0
            ),
        )
