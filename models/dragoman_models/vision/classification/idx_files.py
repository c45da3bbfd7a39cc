"""The IDX files of MNIST and of the data sets made in its likeness, plain or packed by gzip.

Four bytes that say what is inside (0, 0, the type of a value, the number of sizes), the sizes as
32-bit numbers, then the values; all numbers big-endian.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.vision.classification.labelled_images import LabelledImages

_UNSIGNED_BYTE = 0x08
_LARGEST_BYTES = 1 << 32


def read_idx_images(folder: Path, part: str, classes: int) -> LabelledImages:
    """The images of `part` ("train" or "t10k") in a folder of IDX files, one channel each.

    Raises:
        TrainingError: a file is missing, damaged or of another type; the numbers of images and
            labels differ; a label is not below `classes`.
    """
    image_path = _found(folder, f"{part}-images-idx3-ubyte")
    label_path = _found(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if not len(images) or len(images) != len(labels):
        raise TrainingError(
            f"{image_path} has {len(images):,} images, {label_path} {len(labels):,} labels"
        )
    if int(labels.max()) >= classes:
        raise TrainingError(
            f"{label_path} has the label {int(labels.max())}, but the recipe names {classes} labels"
        )
    return LabelledImages(pixels=images[..., np.newaxis], classes=labels.astype(np.int64))


def _found(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise TrainingError(f"{folder} has no file {name} or {name}.gz")


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The unsigned bytes in an IDX file, which must have so many dimensions.

    Raises:
        TrainingError: it cannot be read, or is no such file.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise TrainingError(f"{path} is not an IDX file of bytes in {dimensions} dimensions")
    sizes = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    if math.prod(sizes) > _LARGEST_BYTES or len(data) != start + math.prod(sizes):
        stated = " x ".join(map(str, sizes))
        raise TrainingError(
            f"{path} is cut short or damaged: {len(data) - start:,} bytes for {stated}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes).copy()  # writable
