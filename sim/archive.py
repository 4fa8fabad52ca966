"""Files of lockstep reports: arrays, and a head of plain values among them."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.files import write_atomically

Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")


def save_archive(path: str | os.PathLike[str], name: str, head: dict[str, Any], arrays: Arrays) -> None:
    """Write a compressed ``.npz`` file; the head goes in under ``name``."""
    members: dict[str, Any] = {name: np.array(json.dumps(head)), **arrays}
    write_atomically(path, lambda stream: np.savez_compressed(stream, **members))


def load_archive(
    path: str | os.PathLike[str],
    name: str,
    form: int,
    what: tuple[str, str],
    build: Callable[[dict[str, Any], Arrays], T],
) -> T:
    """What ``build`` makes of the head and the arrays of a file.

    Parameters
    ----------
    name: of the head; form: the format that it must state.
    what: the file's usual name, and what it holds, for messages.

    Raises
    ------
    SvpgError: missing, damaged, of another format, or no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise SvpgError(f"{path}: no such file; give the {what[0]} of a lockstep report")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        head = json.loads(str(arrays[name]))
        if head["format"] != form:
            raise SvpgError(f"{path}: format {head['format']}, this program reads format {form}")
        return build(head, arrays)
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise SvpgError(f"{path}: not a readable {what[1]} of a lockstep report ({error})") from error
