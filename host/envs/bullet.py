"""PyBullet scenes and cameras, drawn by its TinyRenderer on the processor."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError

Picture = NDArray[np.uint8]

LIGHT = (-0.6, -0.9, 1.6)
"""Direction towards the light."""

GREY = (77, 150, 29)
"""Weights of red, green and blue in 256ths (ITU-R BT.601)."""

FRAMES = 1 << 15
"""Frames that :class:`Frames` keeps."""


def engine() -> Any:
    """The module of PyBullet.

    Raises
    ------
    SvpgError: it is not installed, or there is none for this Python.
    """
    try:
        import pybullet
    except ImportError as error:
        raise SvpgError(
            f"PyBullet cannot be used ({error}); use CPython 3.11, the newest with a wheel of it, and: "
            "pip install pybullet"
        ) from error
    return pybullet


class Camera:
    """A pinhole camera.

    Parameters
    ----------
    height, width: pixels.
    angle: vertical field of view, degrees.
    far: beyond this nothing is drawn, metres.
    """

    def __init__(self, height: int, width: int, angle: float, far: float) -> None:
        self.height, self.width = height, width
        self._projection = engine().computeProjectionMatrixFOV(angle, width / height, 0.02, far)

    def take(
        self, client: int, eye: Sequence[float], target: Sequence[float], up: Sequence[float] = (0.0, 0.0, 1.0)
    ) -> Picture:
        """What it sees of a scene from ``eye`` towards ``target``: uint8 (height, width, 3)."""
        bullet = engine()
        view = bullet.computeViewMatrix(list(eye), list(target), list(up))
        pixels = bullet.getCameraImage(
            self.width,
            self.height,
            view,
            self._projection,
            lightDirection=LIGHT,
            shadow=0,
            flags=bullet.ER_NO_SEGMENTATION_MASK,
            renderer=bullet.ER_TINY_RENDERER,
            physicsClientId=client,
        )[2]
        return np.array(pixels, dtype=np.uint8).reshape(self.height, self.width, 4)[:, :, :3]


class Scene:
    """Bodies without dynamics in a world of PyBullet's own.

    A process needs one of a kind, however many environments look at it: they put the bodies where theirs are before
    each picture.
    """

    def __init__(self) -> None:
        bullet = engine()
        self.client: int = bullet.connect(bullet.DIRECT)

    def box(self, size: Sequence[float], centre: Sequence[float], colour: Sequence[float]) -> int:
        """A box with edges along the axes; sizes and centre in metres, colour in [0, 1]. Returns its number."""
        bullet, half = engine(), [length / 2 for length in size]
        shape = bullet.createVisualShape(
            bullet.GEOM_BOX, halfExtents=half, rgbaColor=[*colour, 1.0], physicsClientId=self.client
        )
        return int(bullet.createMultiBody(0, -1, shape, list(centre), physicsClientId=self.client))

    def move(self, body: int, position: Sequence[float], yaw: float = 0.0) -> None:
        """Put a body somewhere, turned about the vertical (radians)."""
        turn = [0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2))]
        engine().resetBasePositionAndOrientation(body, list(position), turn, physicsClientId=self.client)

    def panda(self) -> int:
        """A Franka Panda on a fixed base at the origin, drawn with its collision meshes.

        Those have a small part of the triangles of the visual ones, which TinyRenderer draws 28 times a second.
        """
        import pybullet_data

        folder = Path(pybullet_data.getDataPath()) / "franka_panda"
        text = (folder / "panda.urdf").read_text()
        text = re.sub(r"meshes/visual/(\w+)\.\w+", r"meshes/collision/\1.obj", text)
        with tempfile.TemporaryDirectory(prefix="svpg-panda-") as written:
            path = Path(written) / "panda.urdf"
            path.write_text(text.replace("package://", f"{folder}/"))
            return int(engine().loadURDF(str(path), useFixedBase=True, physicsClientId=self.client))


class Frames:
    """Pictures by pose: as many as :data:`FRAMES` of those that were drawn last.

    A picture depends on its pose alone, so what is kept equals what would be drawn, bit for bit.
    """

    def __init__(self) -> None:
        self._kept: dict[Any, Picture] = {}

    def get(self, pose: Any, draw: Callable[[], Picture]) -> Picture:
        """The picture of a pose, from ``draw`` if it is not kept."""
        if pose not in self._kept:
            if len(self._kept) >= FRAMES:
                del self._kept[next(iter(self._kept))]
            self._kept[pose] = draw()
        return self._kept[pose]


def grey(picture: Picture) -> Picture:
    """Grey of a picture (height, width, 3) in integers: uint8 (height, width)."""
    return ((picture.astype(np.uint16) * np.array(GREY, dtype=np.uint16)).sum(axis=2, dtype=np.uint16) >> 8).astype(
        np.uint8
    )


def halved(pixels: Picture) -> Picture:
    """Means of 2 × 2 grey pixels, in integers, rounded down: half the height and width."""
    height, width = pixels.shape
    return (pixels.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3), dtype=np.uint16) >> 2).astype(np.uint8)


class Sight:
    """An observation from grey pixels, and two changes to it that tell whether a policy looks.

    Parameters
    ----------
    mirror: 1 exchanges left and right.
    blank: 1 shows nothing (0.5 everywhere).

    Raises
    ------
    SvpgError: another number.
    """

    def __init__(self, mirror: float, blank: float) -> None:
        for name, value in (("mirror", mirror), ("blank", blank)):
            if value not in (0, 1):
                raise SvpgError(f"{name} = {value!r} is out of range; give 0 or 1")
        self._mirror, self._blank = bool(mirror), bool(blank)

    def observation(self, look: Callable[[], Picture], pixels: int) -> NDArray[np.float32]:
        """Float32 (pixels,) in [0, 1] of the grey pixels (height, width) that ``look`` gives."""
        if self._blank:
            return np.full(pixels, 0.5, dtype=np.float32)
        seen = look()
        if self._mirror:
            seen = seen[:, ::-1]
        return (seen.astype(np.float32) / np.float32(255)).ravel()


def check_split(split: float, names: Sequence[str]) -> str:
    """The name of a set of starts by its number.

    Raises
    ------
    SvpgError: there is no such number.
    """
    if split not in range(len(names)):
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
        raise SvpgError(f"split = {split!r} is unknown; give {known}")
    return names[int(split)]


def check_share(name: str, share: float) -> float:
    """The argument called ``name``.

    Raises
    ------
    SvpgError: it is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise SvpgError(f"{name} = {share!r} is out of range; give a share from 0 to 1")
    return share


def check_action(action: np.int64 | int, count: int) -> int:
    """The action as an integer.

    Raises
    ------
    SvpgError: it is not one of ``count``.
    """
    if not 0 <= action < count:
        raise SvpgError(f"action = {action!r} is out of range; give an integer from 0 to {count - 1}")
    return int(action)
