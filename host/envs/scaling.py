"""From a physical state to an observation in [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError


def to_unit(state: NDArray[np.floating], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    """``(clip(state * scale, -1, 1) + 1) / 2`` as float32, same shape; 0.5 is the origin."""
    # minimum and maximum: numpy.clip takes twice the time on four numbers.
    unit = np.minimum(np.maximum(state * scale, -1.0), 1.0)
    return ((unit + 1.0) * 0.5).astype(np.float32)


def check_render_mode(render_mode: str | None, modes: list[str]) -> str | None:
    """Return ``render_mode``, or raise :class:`SvpgError` if the environment does not offer it."""
    if render_mode is not None and render_mode not in modes:
        raise SvpgError(f"render_mode = {render_mode!r} is unknown; choose one of {', '.join(modes)} or None")
    return render_mode
