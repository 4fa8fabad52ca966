"""Compiled code is never older than the sources it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numba

import golden
from golden.compiled import source_digest


def test_the_cache_folder_names_the_sources() -> None:
    assert numba.config.CACHE_DIR.endswith(f"numba-{source_digest()}")


def test_a_changed_constant_in_any_file_changes_the_digest(tmp_path: Path) -> None:
    copy = tmp_path / "golden"
    shutil.copytree(Path(golden.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert source_digest(copy) == source_digest()
    for name in ("config.py", "rng.py", "kernels.py"):
        before = source_digest(copy)
        (copy / name).write_text((copy / name).read_text() + "\nEXTRA = 1\n")
        assert source_digest(copy) != before
