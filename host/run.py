"""The run folder: settings, parameters, checkpoint, metrics.

A checkpoint is one file, written atomically, that holds the whole state and says how many rows of
``metrics.csv`` belong to it; rows written later are cut off on resume.
"""

from __future__ import annotations

import csv
import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.files import write_atomically
from golden.parameters import Parameters
from host.settings import RUN_FORMAT, RunConfig

COLUMNS = ("episode", "steps", "return", "length", "entropy", "critic_loss", "validation")


def format_row(values: Iterable[float | int | None]) -> str:
    """One line of ``metrics.csv``: shortest text that reads back to the same number, empty for nothing."""

    def text(value: float | int | None) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return repr(value)

    return ",".join(text(value) for value in values)


class RunFolder:
    """Paths and files of one run.

    Parameters
    ----------
    path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.best_file = self.path / "params_best.npz"
        self.last_file = self.path / "params_last.npz"
        self.checkpoint_file = self.path / "checkpoint.npz"
        self.metrics_file = self.path / "metrics.csv"
        self.curve_file = self.path / "curve.png"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: RunConfig) -> RunFolder:
        """A new run folder with its settings and an empty metrics file.

        Raises
        ------
        SvpgError: there is a run in it already, or it cannot be made.
        """
        run = cls(path)
        if run.config_file.exists():
            raise SvpgError(f"{run.path}: holds a run already; continue it with --resume or choose another --run")
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SvpgError(f"{run.path}: cannot be made ({error.strerror}); choose another --run") from error
        if any(run.path.iterdir()):
            raise SvpgError(f"{run.path}: is not empty and holds no run; choose another --run")
        # The settings come last: a folder that has them is a run.
        write_atomically(run.metrics_file, lambda stream: stream.write((",".join(COLUMNS) + "\n").encode()))
        config.save(run.config_file)
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> tuple[RunFolder, RunConfig]:
        """An existing run folder and its settings.

        Raises
        ------
        SvpgError: not a run folder, of another format version, or its settings are damaged.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise SvpgError(f"{run.path}: no such run folder")
        return run, RunConfig.load(run.config_file)

    # --- parameters --------------------------------------------------------------------------------
    def parameters(self) -> Parameters:
        """The best parameters, or the last where no validation has happened yet.

        Raises
        ------
        SvpgError: there are none.
        """
        for file in (self.best_file, self.last_file):
            if file.exists():
                return Parameters.load(file)
        raise SvpgError(f"{self.path}: holds no parameters yet; train it further with --resume")

    # --- checkpoint --------------------------------------------------------------------------------
    def save_checkpoint(self, state: dict[str, NDArray[Any]]) -> None:
        """Write the checkpoint; the rows of ``metrics.csv`` reach the disk before it.

        Raises
        ------
        SvpgError: cannot be written; the older checkpoint stays.
        """
        try:
            with open(self.metrics_file, "rb") as stream:
                os.fsync(stream.fileno())
        except OSError as error:
            raise SvpgError(f"{self.metrics_file}: cannot be written ({error.strerror}); free space") from error
        content = {**state, "format": np.array(RUN_FORMAT)}
        write_atomically(self.checkpoint_file, lambda stream: np.savez(stream, **content))  # type: ignore[arg-type]

    def load_checkpoint(self) -> dict[str, NDArray[Any]] | None:
        """The state of the last checkpoint; ``None`` if there has been none.

        Raises
        ------
        SvpgError: damaged, or of another version.
        """
        if not self.checkpoint_file.exists():
            return None
        try:
            with np.load(self.checkpoint_file, allow_pickle=False) as archive:
                state = {key: archive[key] for key in archive.files}
            version = int(state.pop("format"))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise SvpgError(f"{self.checkpoint_file}: not a readable checkpoint ({error}); train anew") from error
        if version != RUN_FORMAT:
            raise SvpgError(
                f"{self.checkpoint_file}: format {version}, this program reads format {RUN_FORMAT}; train anew"
            )
        return state

    # --- metrics -----------------------------------------------------------------------------------
    def append_metrics(self, rows: list[str]) -> None:
        """Append rows with one write.

        Raises
        ------
        SvpgError: cannot be written.
        """
        try:
            with open(self.metrics_file, "a", encoding="utf-8") as stream:
                stream.write("".join(f"{row}\n" for row in rows))
        except OSError as error:
            raise SvpgError(f"{self.metrics_file}: cannot be written ({error.strerror}); free space") from error

    def cut_metrics(self, rows: int) -> None:
        """Keep the header and the first ``rows`` rows.

        Raises
        ------
        SvpgError: the file is missing or has fewer rows.
        """
        try:
            lines = self.metrics_file.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise SvpgError(f"{self.metrics_file}: cannot be read ({error.strerror}); restore it") from error
        kept = lines[: rows + 1]
        if len(kept) != rows + 1 or not kept[-1].endswith(b"\n"):
            raise SvpgError(
                f"{self.metrics_file}: has {max(len(lines) - 1, 0)} rows, the checkpoint needs {rows}; restore it"
            )
        write_atomically(self.metrics_file, lambda stream: stream.write(b"".join(kept)))

    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Columns of ``metrics.csv`` by name, float64, NaN where a cell is empty.

        Raises
        ------
        SvpgError: missing or damaged.
        """
        try:
            with open(self.metrics_file, newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            return {name: np.array([float(row[name] or "nan") for row in rows]) for name in COLUMNS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SvpgError(f"{self.metrics_file}: not a readable metrics file ({error}); restore it") from error
