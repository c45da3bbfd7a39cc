"""The small set of cat pictures that courses use: 209 to learn from, 50 to test on, 64 x 64 RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """Pictures with their classes: 1 is a cat."""

    pixels: NDArray[np.uint8]  # (N, height, width, 3)
    classes: NDArray[np.int64]  # (N,)

    def flat(self, dtype: type[np.floating] = np.float64) -> NDArray[Any]:
        """(N, height * width * 3), from 0 to 1."""
        return (self.pixels.reshape(len(self.pixels), -1) / 255).astype(dtype)


def read_cat_set(folder: Path) -> tuple[PictureSet, PictureSet]:
    """What to learn from and what to test on, from the two HDF5 files in `folder`.

    Raises:
        TrainingError: a file is missing, damaged, or holds something else.
    """
    return (
        _read(folder / "train_catvnoncat.h5", "train_set"),
        _read(folder / "test_catvnoncat.h5", "test_set"),
    )


def _read(path: Path, name: str) -> PictureSet:
    import h5py  # of the extra `train`

    try:
        with h5py.File(path, "r") as file:
            pixels, classes = np.asarray(file[f"{name}_x"]), np.asarray(file[f"{name}_y"])
    except (OSError, KeyError, TypeError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or not pixels.size:
        raise TrainingError(f"{path}: {name}_x must be (N, height, width, 3) of bytes")
    if classes.shape != pixels.shape[:1] or not np.isin(classes, (0, 1)).all():
        raise TrainingError(f"{path}: {name}_y must be 0 or 1 for each picture")
    return PictureSet(pixels=pixels, classes=classes.astype(np.int64))
