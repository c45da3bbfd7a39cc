"""Reads pictures of people (or of anything that is to be recognised): DIR/NAME/*.jpg.

A folder is a person. Files that are no pictures, damaged or over the limits are named and skipped;
so is a folder that leaves fewer than two, for one picture makes no pair.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.vision.image_decoding import read_image
from dragoman_models.vision.verification.image_preparation import ColorMode, Framing, prepare
from dragoman_models.vision.verification.labelled_images import LabelledImages

_GROUP = "people"


def read_identities(
    folder: Path, *, size: int, color: ColorMode, framing: Framing, report: Callable[[str], None]
) -> LabelledImages:
    """All pictures in the folders of `folder`; all people are one group.

    Args:
        report: told of each file and each folder that is skipped, with the reason.

    Raises:
        TrainingError: there is no such folder, or nobody in it has two pictures.
    """
    try:
        people = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise TrainingError(f"cannot read the folder {folder}: {error.strerror}") from error
    names: list[str] = []
    pixels: list[list[NDArray[np.uint8]]] = []
    for person in people:
        found = _pictures(person, size, color, framing, report)
        if len(found) < 2:
            report(f"skipped {person}: it has {len(found)} pictures, and two are needed")
            continue
        names.append(person.name)
        pixels.append(found)
    if not names:
        raise TrainingError(
            f"{folder} must hold a folder for each person, with two pictures or more; "
            f"none of its {len(people)} folders has"
        )
    return LabelledImages(
        pixels=np.stack([picture for own in pixels for picture in own]),
        classes=np.repeat(np.arange(len(names)), [len(own) for own in pixels]),
        makers=np.concatenate([np.arange(len(own)) for own in pixels]),
        class_names=tuple(names),
        class_groups=(_GROUP,) * len(names),
    )


def _pictures(
    person: Path, size: int, color: ColorMode, framing: Framing, report: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    found = []
    for path in sorted(path for path in person.iterdir() if not path.name.startswith(".")):
        try:
            found.append(prepare(read_image(path), size=size, color=color, framing=framing))
        except InvalidInputError as error:
            report(f"skipped {error}")
    return found
