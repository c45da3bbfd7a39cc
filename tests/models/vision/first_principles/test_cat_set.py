"""The cat set's files: what is in them is read, and what is wrong with them is named."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.vision.first_principles.cat_set import read_cat_set


def write(folder: Path, part: str, pixels: NDArray[np.uint8], classes: list[int]) -> None:
    with h5py.File(folder / f"{part}_catvnoncat.h5", "w") as file:
        file[f"{part}_set_x"] = pixels
        file[f"{part}_set_y"] = np.array(classes)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    write(tmp_path, "train", pixels[:3], [0, 1, 1])
    write(tmp_path, "test", pixels[3:], [1, 0])
    train, test = read_cat_set(tmp_path)
    np.testing.assert_array_equal(train.pixels, pixels[:3])
    assert train.classes.tolist() == [0, 1, 1]
    assert test.classes.tolist() == [1, 0]
    np.testing.assert_allclose(test.flat(), pixels[3:].reshape(2, 48) / 255)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(TrainingError, match=r"cannot read .*train_catvnoncat\.h5"):
        read_cat_set(tmp_path)
    (tmp_path / "train_catvnoncat.h5").write_bytes(b"no HDF5 file")
    with pytest.raises(TrainingError, match=r"cannot read .*train_catvnoncat\.h5"):
        read_cat_set(tmp_path)
    write(tmp_path, "train", pixels, [0, 2])
    with pytest.raises(TrainingError, match="train_set_y must be 0 or 1"):
        read_cat_set(tmp_path)
    write(tmp_path, "train", pixels[..., 0], [0, 1])
    with pytest.raises(TrainingError, match="train_set_x must be"):
        read_cat_set(tmp_path)
    write(tmp_path, "train", pixels, [0, 1])
    with h5py.File(tmp_path / "test_catvnoncat.h5", "w") as file:
        file["other"] = [1]
    with pytest.raises(TrainingError, match=r"cannot read .*test_catvnoncat\.h5"):
        read_cat_set(tmp_path)
