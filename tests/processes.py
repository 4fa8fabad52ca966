"""Processes that tests look for."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def working_in(folder: Path) -> list[str]:
    """Names of the processes whose working directory is the folder or in it, even if that is gone."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            if str(folder) in os.readlink(link):
                found.append((link.parent / "comm").read_text().strip())
    return found
