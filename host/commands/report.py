"""What a command returns, and the checks that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.errors import SvpgError
from host.settings import SEED_BITS


@dataclass(frozen=True)
class Report:
    """Result of a command.

    Parameters
    ----------
    data: for ``--json``.
    text: for people.
    status: exit status.
    """

    data: Any
    text: str
    status: int = 0


def two_columns(rows: dict[str, Any]) -> str:
    """Two aligned columns."""
    width = max((len(name) for name in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def check_seed(seed: int) -> None:
    """Refuse a seed that does not fit a nonce."""
    if not 0 <= seed < 1 << SEED_BITS:
        raise SvpgError(f"seed {seed} is out of range; give an integer from 0 to {(1 << SEED_BITS) - 1}")


def check_writable(path: Path) -> None:
    """Refuse an output in a folder that is not there before any work is done."""
    if not path.parent.is_dir():
        raise SvpgError(f"{path}: there is no folder {path.parent}; make it first")
