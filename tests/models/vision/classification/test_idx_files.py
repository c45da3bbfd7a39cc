"""IDX files: what was written is read, and what is no such file is refused by name."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dragoman_models.errors import TrainingError
from dragoman_models.vision.classification.idx_files import read_idx, read_idx_images

from .idx_writer import idx_bytes


@given(
    values=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3, max_side=6)),
    packed=st.booleans(),
)
def test_what_was_written_is_read(values: np.ndarray, packed: bool) -> None:
    data = idx_bytes(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values"
        path.write_bytes(gzip.compress(data) if packed else data)
        np.testing.assert_array_equal(read_idx(path, values.ndim), values)


@given(cut=st.integers(0, 39), packed=st.booleans())
def test_a_cut_file_is_refused(cut: int, packed: bool) -> None:
    data = idx_bytes(np.zeros((2, 3, 4), np.uint8))
    assert len(data) == 40
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values"
        path.write_bytes(gzip.compress(data)[: cut + 1] if packed and cut < 20 else data[:cut])
        with pytest.raises(TrainingError, match="values"):
            read_idx(path, 3)


def write_pair(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    images, labels = np.zeros((3, 4, 5), np.uint8), np.array([0, 1, 2], np.uint8)
    with pytest.raises(TrainingError, match="no file train-images-idx3-ubyte or"):
        read_idx_images(tmp_path, "train", 3)
    write_pair(tmp_path, images, labels)
    read = read_idx_images(tmp_path, "train", 3)
    assert read.pixels.shape == (3, 4, 5, 1)
    assert read.classes.tolist() == [0, 1, 2]
    with pytest.raises(TrainingError, match="label 2, but the recipe names 2 labels"):
        read_idx_images(tmp_path, "train", 2)
    write_pair(tmp_path, images, labels[:2])
    with pytest.raises(TrainingError, match=r"3 images.* 2 labels"):
        read_idx_images(tmp_path, "train", 3)
    write_pair(tmp_path, labels, labels)
    with pytest.raises(TrainingError, match="not an IDX file of bytes in 3 dimensions"):
        read_idx_images(tmp_path, "train", 3)


def test_another_type_of_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floats"
    path.write_bytes(b"\0\0\x0d\x01\0\0\0\x01" + bytes(4))
    with pytest.raises(TrainingError, match="not an IDX file of bytes"):
        read_idx(path, 1)
