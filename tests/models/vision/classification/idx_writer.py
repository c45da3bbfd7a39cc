"""IDX files made after the format's description, and a small set of images that can be learnt."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    return head + values.tobytes()


def write_idx_folder(folder: Path, *, train: int = 120, test: int = 40, size: int = 12) -> Path:
    """Bars that lie (class 0), bars that stand (1), and squares (2), with noise; the test's files
    are packed."""
    folder.mkdir(parents=True)
    for part, count, suffix in (("train", train, ""), ("t10k", test, ".gz")):
        images, labels = bars_and_squares(count, size, np.random.default_rng(len(part)))
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx_bytes(values)
            path = folder / f"{part}-{name}-ubyte{suffix}"
            path.write_bytes(gzip.compress(data) if suffix else data)
    return folder


def bars_and_squares(
    count: int, size: int, chance: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images = chance.integers(0, 40, (count, size, size), dtype=np.uint8)
    labels = chance.integers(0, 3, count, dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = chance.integers(1, size - 5, 2)
        heights = (2, 5, 4)[label], (5, 2, 4)[label]
        image[row : row + heights[0], column : column + heights[1]] = 220
    return images, labels
