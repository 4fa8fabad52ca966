"""Pictures of a pole on a cart, drawn with Pillow: no display and no OpenGL needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 400, 300
"""Size of a picture in pixels."""

_OVERSAMPLING = 3
_RAIL_Y = 255
_BACKGROUND = (250, 250, 247)
_RAIL = (178, 184, 194)
_STOP = (120, 128, 140)
_CART = (44, 62, 92)
_POLE = (214, 108, 58)
_HUB = (250, 250, 247)


@dataclass(frozen=True)
class CartPoleScene:
    """Everything about a picture that does not move.

    Parameters
    ----------
    rail: half the length of the rail, metres.
    pole_length, pole_thickness: metres; the thickness is the full width of the pole.
    cart_length: metres.
    """

    rail: float
    pole_length: float
    pole_thickness: float
    cart_length: float

    def draw(self, position: float, angle: float) -> NDArray[np.uint8]:
        """Draw one state.

        Parameters
        ----------
        position: of the cart, metres to the right of the middle.
        angle: of the pole, radians from upright, clockwise.

        Returns
        -------
        uint8 (HEIGHT, WIDTH, 3), RGB.
        """
        # The whole rail and the upright pole fit.
        metre = min((WIDTH - 40) / (2 * self.rail + self.cart_length), (_RAIL_Y - 25) / self.pole_length)
        big = _OVERSAMPLING
        image = Image.new("RGB", (WIDTH * big, HEIGHT * big), _BACKGROUND)
        pen = ImageDraw.Draw(image)

        def box(x: float, y: float, half_width: float, half_height: float) -> tuple[float, float, float, float]:
            return (x - half_width) * big, (y - half_height) * big, (x + half_width) * big, (y + half_height) * big

        middle = WIDTH / 2
        end = self.rail * metre + self.cart_length * metre / 2
        pen.rounded_rectangle(box(middle, _RAIL_Y, end, 2.5), 2.5 * big, fill=_RAIL)
        for side in (-1, 1):
            pen.rounded_rectangle(box(middle + side * end, _RAIL_Y, 3, 11), 3 * big, fill=_STOP)

        hub = middle + position * metre
        half_cart = max(self.cart_length * metre / 2, 12)
        pen.rounded_rectangle(box(hub, _RAIL_Y, half_cart, 11), 6 * big, fill=_CART)

        half_pole = max(self.pole_thickness * metre / 2, 3)
        tip = hub + math.sin(angle) * self.pole_length * metre, _RAIL_Y - math.cos(angle) * self.pole_length * metre
        across = math.cos(angle) * half_pole * big, math.sin(angle) * half_pole * big
        ends = ((hub * big, _RAIL_Y * big), (tip[0] * big, tip[1] * big))
        (x0, y0), (x1, y1) = ends
        pen.polygon(
            [
                (x0 - across[0], y0 - across[1]),
                (x0 + across[0], y0 + across[1]),
                (x1 + across[0], y1 + across[1]),
                (x1 - across[0], y1 - across[1]),
            ],
            fill=_POLE,
        )
        for x, y in ((hub, float(_RAIL_Y)), tip):
            pen.ellipse(box(x, y, half_pole, half_pole), fill=_POLE)
        pen.ellipse(box(hub, _RAIL_Y, 2, 2), fill=_HUB)
        return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX), dtype=np.uint8)
