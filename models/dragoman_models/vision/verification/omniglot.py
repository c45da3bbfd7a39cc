"""Reads Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): ALPHABET/characterNN/ID_DRAWER.png.

The archives of images as they are published are read without being unpacked. An alphabet that
stands in several of them, as Greek and Latin do in the two small background sets, is taken once.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.vision.image_decoding import ImageLimits, decode_image
from dragoman_models.vision.results import RgbImage
from dragoman_models.vision.verification.image_preparation import ColorMode, Framing, prepare
from dragoman_models.vision.verification.labelled_images import LabelledImages

_NAME = re.compile(r"(?:.*/)?([^/]+)/(character\d+)/\d+_(\d+)\.png")


def read_omniglot(
    archives: Sequence[Path], *, size: int, color: ColorMode, framing: Framing = "whole"
) -> LabelledImages:
    """All drawings in these zip archives; a class is a character, its group is the alphabet.

    Raises:
        TrainingError: an archive cannot be read, holds no drawing, or one of its drawings is
            damaged.
    """
    found: dict[tuple[str, str, int], RgbImage] = {}
    for archive in archives:
        drawings = dict(_drawings(archive))
        if not drawings:
            raise TrainingError(
                f"{archive} holds no drawing named ALPHABET/characterNN/ID_DRAWER.png"
            )
        found = {**drawings, **found}
    keys = sorted(found)
    classes = sorted({key[:2] for key in keys})
    number_of = {name: number for number, name in enumerate(classes)}
    return LabelledImages(
        pixels=np.stack(
            [prepare(found[key], size=size, color=color, framing=framing) for key in keys]
        ),
        classes=np.array([number_of[key[:2]] for key in keys], np.int64),
        makers=np.array([key[2] for key in keys], np.int64),
        class_names=tuple("/".join(name) for name in classes),
        class_groups=tuple(name[0] for name in classes),
    )


def _drawings(
    archive: Path,
) -> Iterator[tuple[tuple[str, str, int], RgbImage]]:
    try:
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if match := _NAME.fullmatch(name):
                    image = _decoded(files.read(name), f"{archive}: {name}")
                    yield (match[1], match[2], int(match[3])), image
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise TrainingError(f"cannot read {archive} as a zip archive: {error}") from error


def _decoded(content: bytes, name: str) -> RgbImage:
    try:
        return decode_image(content, limits=ImageLimits())
    except InvalidInputError as error:
        raise TrainingError(f"{name}: {error}") from error
