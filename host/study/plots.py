"""The one style of the studies' pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from golden.files import write_atomically


@contextlib.contextmanager
def figure(path: Path, width: float = 8.0, height: float = 5.0) -> Iterator[Axes]:
    """One pair of axes; saved as PNG when the block ends without an error."""
    drawing, axes = plt.subplots(figsize=(width, height), layout="constrained")
    try:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        yield axes
        write_atomically(path, lambda stream: drawing.savefig(stream, format="png", dpi=110))
    finally:
        plt.close(drawing)
