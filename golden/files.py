"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from golden.errors import SvpgError


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Call ``write`` with a binary stream and rename the result to ``path`` once it is on disk.

    An older file at ``path`` stays intact until the rename.

    Raises
    ------
    SvpgError: when the file cannot be written (full disk, missing folder, no permission).
    """
    path = Path(path)
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise SvpgError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Append one line of text with a single write.

    Raises
    ------
    SvpgError: when the file cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    except OSError as error:
        raise SvpgError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder that ``--out`` names, and those above it; one that is there stays.

    Raises
    ------
    SvpgError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SvpgError(f"{path}: cannot be made ({error.strerror}); choose another --out") from error
