"""Labelled images as people have them: a folder for each class, with its images in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.vision.image_decoding import ImageLimits, read_image

_LONGEST_LABEL = 200


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """An image file that decodes, its class, and the SHA-256 of its content."""

    path: Path
    class_id: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """What was found in a folder of classes, and what was left out and why."""

    labels: tuple[str, ...]
    files: tuple[LabelledFile, ...]
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of an `ImageFolder`'s files: to learn from, to choose by, to measure on."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]


def read_image_folder(
    folder: Path,
    *,
    limits: ImageLimits | None = None,
    on_file: Callable[[int, int], None] = lambda _done, _all: None,
) -> ImageFolder:
    """The images in FOLDER/CLASS/, folders below it included; hidden files are passed over.

    A file that does not decode, a copy of another file, and a class without images are left out
    and named. A copy in another class takes both out: nobody knows which is right.

    Raises:
        TrainingError: no folder, or fewer than two classes with two images or more.
    """
    classes = _class_folders(folder)
    paths = {one.name: sorted(_files(one)) for one in classes}
    skipped = [(one, "holds no image") for one in classes if not paths[one.name]]
    found: list[tuple[str, Path, str]] = []
    total, done = sum(map(len, paths.values())), 0
    for label, files in paths.items():
        for path in files:
            digest, problem = _examined(path, limits)
            if problem:
                skipped.append((path, problem))
            else:
                found.append((label, path, digest))
            done += 1
            on_file(done, total)
    kept, copies = _without_copies(found)
    skipped += copies
    labels = tuple(name for name in paths if sum(label == name for label, _, _ in kept) > 1)
    skipped += [
        (path, "is the only image of its class") for label, path, _ in kept if label not in labels
    ]
    if len(labels) < 2:
        raise TrainingError(
            f"{folder} must hold two or more folders, named after classes, with two or more images "
            f"in each; {len(labels)} such found{_examples(skipped)}"
        )
    numbers = {label: row for row, label in enumerate(labels)}
    return ImageFolder(
        labels=labels,
        files=tuple(
            LabelledFile(path=path, class_id=numbers[label], digest=digest)
            for label, path, digest in kept
            if label in numbers
        ),
        skipped=tuple(skipped),
    )


def split_files(
    files: tuple[LabelledFile, ...], *, valid_share: float, test_share: float, seed: int
) -> Split:
    """Each class divided alike, drawn by `seed`: at least one image of each class is learnt from,
    and one is there to choose by; a class of two images has none to measure on."""
    chance = np.random.default_rng([seed, len(files)])
    classes = np.array([file.class_id for file in files])
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "valid": [], "test": []}
    for class_id in np.unique(classes):
        rows = chance.permutation(np.flatnonzero(classes == class_id))
        valid = max(1, round(valid_share * len(rows)))
        test = min(round(test_share * len(rows)), max(0, len(rows) - valid - 1))
        valid = min(valid, len(rows) - test - 1)
        parts["test"].append(rows[:test])
        parts["valid"].append(rows[test : test + valid])
        parts["train"].append(rows[test + valid :])
    rows_of = {name: np.sort(np.concatenate(part)) for name, part in parts.items()}
    return Split(train=rows_of["train"], valid=rows_of["valid"], test=rows_of["test"])


def _class_folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise TrainingError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [
        one
        for one in inside
        if one.is_dir() and not one.name.startswith(".") and len(one.name) <= _LONGEST_LABEL
    ]


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _examined(path: Path, limits: ImageLimits | None) -> tuple[str, str]:
    """(SHA-256, "") of a file that decodes, ("", what is wrong) of another."""
    try:
        read_image(path, limits=limits)
        return hashlib.sha256(path.read_bytes()).hexdigest(), ""
    except InvalidInputError as error:
        return "", "; ".join(violation.description for violation in error.violations)
    except OSError as error:
        return "", f"cannot be read: {error.strerror or error}"


def _without_copies(
    found: list[tuple[str, Path, str]],
) -> tuple[list[tuple[str, Path, str]], list[tuple[Path, str]]]:
    first: dict[str, tuple[str, Path]] = {}
    contested: set[str] = set()
    for label, path, digest in found:
        if first.setdefault(digest, (label, path))[0] != label:
            contested.add(digest)
    kept, skipped = [], []
    for label, path, digest in found:
        original = first[digest][1]
        if digest in contested:
            skipped.append((path, "the same image stands in several classes"))
        elif original != path:
            skipped.append((path, f"is a copy of {original}"))
        else:
            kept.append((label, path, digest))
    return kept, skipped


def _examples(skipped: list[tuple[Path, str]]) -> str:
    if not skipped:
        return ""
    named = "; ".join(f"{path}: {reason}" for path, reason in skipped[:3])
    return f". Left out, among {len(skipped):,}: {named}"
