"""What a frozen backbone gives for each image, kept on disk, so that it is computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.tensor_file import TensorFileError, decode_numpy, encode_tensors
from dragoman_models.training import write_atomically
from dragoman_models.vision.classification.backbone_classifier import Backbone
from dragoman_models.vision.classification.image_folders import LabelledFile
from dragoman_models.vision.classification.preparation import Floats, ImagePreparation
from dragoman_models.vision.image_decoding import ImageLimits, read_image

FEATURES = "features.safetensors"
_BATCH = 16
_BATCHES_A_WRITE = 16


class FeatureCache:
    """Features of images and of their mirror images, by the SHA-256 of a file's content.

    The file in the run's folder names the backbone that they are of: those of another are not
    taken.
    """

    def __init__(self, folder: Path, backbone: Backbone, key: str) -> None:
        """key: names backbone and preparation. Raises `TrainingError` for a damaged file."""
        self._path = folder / FEATURES
        self._backbone = backbone
        self._key = f"backbone/{key}"
        self._known: dict[str, Floats] = {}  # digest -> (2, features)
        if self._path.exists():
            try:
                tensors = decode_numpy(self._path.read_bytes())
            except (OSError, TensorFileError) as error:
                raise TrainingError(f"cannot read {self._path}: {error}; remove it") from error
            if self._key in tensors:
                self._known = {k: v for k, v in tensors.items() if not k.startswith("backbone/")}

    def features(
        self,
        files: Sequence[LabelledFile],
        preparation: ImagePreparation,
        *,
        limits: ImageLimits | None = None,
        on_images: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Floats:
        """(files, 2, features): of each image, then of its mirror image. What is new is computed,
        and written every so often, so that a run that is stopped goes on there."""
        missing = [file for file in files if file.digest not in self._known]
        done = len(files) - len(missing)
        on_images(done, len(files))
        for number, begin in enumerate(range(0, len(missing), _BATCH), start=1):
            part = missing[begin : begin + _BATCH]
            images = preparation.prepared([read_image(f.path, limits=limits) for f in part])
            mirrored = np.ascontiguousarray(images[:, :, :, ::-1])
            pairs = np.stack(
                [self._backbone.features(images), self._backbone.features(mirrored)], axis=1
            )
            self._known.update(zip((file.digest for file in part), pairs, strict=True))
            done += len(part)
            on_images(done, len(files))
            if number % _BATCHES_A_WRITE == 0 or begin + _BATCH >= len(missing):
                self._write()
        return np.stack([self._known[file.digest] for file in files])

    def _write(self) -> None:
        mark: NDArray[np.uint8] = np.zeros(1, np.uint8)
        write_atomically(self._path, encode_tensors({**self._known, self._key: mark}))
