"""Compiled functions whose cache is dropped when any source of the model changes.

Numba's cache looks at a function's own file only; a constant or a callee in another file could change and leave
stale machine code behind. Here the cache folder's name carries a digest of all the sources.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_SOURCES = Path(__file__).parent


def source_digest(folder: Path = _SOURCES) -> str:
    """Hex digest over the names and contents of a folder's Python files, this package's by default."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" in os.environ:
    _base = Path(os.environ["NUMBA_CACHE_DIR"])
else:
    _base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svpg"
numba.config.CACHE_DIR = str(_base / f"numba-{source_digest()}")  # type: ignore[attr-defined]

compiled: Callable[..., Any] = numba.njit(cache=True)
"""Decorator: compile at the first call, remember the machine code on disk."""

inlined: Callable[..., Any] = numba.njit(cache=True, inline="always")
"""The same for small functions that belong into their callers."""

fused: Callable[..., Any] = numba.njit(cache=True, fastmath={"contract"})
"""The same for code to whose result it makes no difference whether a product is rounded before it is added."""
