"""The files of a Pascal VOC data set: a folder, or a tar archive that is read where it lies.

    Annotations/*.xml     one for each image
    JPEGImages/*          the images, by the same names

Both may lie below other folders. Nothing is unpacked.
"""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from dragoman_models.errors import TrainingError

_ANNOTATIONS = "Annotations"
_IMAGES = "JPEGImages"


class VocFiles(Protocol):
    """Annotations and images by their names without suffixes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all images and annotations, sorted."""
        ...

    def annotation(self, name: str) -> bytes | None:
        """The content of an annotation, None where there is none."""
        ...

    def image(self, name: str) -> bytes | None:
        """The content of an image's file, None where there is none."""
        ...


def open_voc(path: Path) -> VocFiles:
    """The data set in a folder or a tar archive.

    Raises:
        TrainingError: it cannot be read, or holds no annotations.
    """
    try:
        files = _Folder(path) if path.is_dir() else _Tar(path)
    except (OSError, tarfile.TarError) as error:
        raise TrainingError(f"cannot read the data set {path}: {error}") from error
    if not files.names:
        raise TrainingError(
            f"{path} holds no data set: a folder or tar with {_ANNOTATIONS}/*.xml and "
            f"{_IMAGES}/* is wanted"
        )
    return files


class _Folder:
    def __init__(self, root: Path) -> None:
        found = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
        kinds = _by_kind([PurePosixPath(*path.parts) for path in found])
        self._annotations, self._images = kinds
        self._root = root
        self.names = tuple(sorted({*self._annotations, *self._images}))

    def annotation(self, name: str) -> bytes | None:
        return self._content(self._annotations.get(name))

    def image(self, name: str) -> bytes | None:
        return self._content(self._images.get(name))

    def _content(self, path: PurePosixPath | None) -> bytes | None:
        if path is None:
            return None
        try:
            return (self._root / path).read_bytes()
        except OSError as error:
            raise TrainingError(f"cannot read {self._root / path}: {error}") from error


class _Tar:
    def __init__(self, path: Path) -> None:
        self._path = path
        # "r:" takes no compressed archive: each file of one would be unpacked from its beginning.
        with tarfile.open(path, "r:") as archive:
            members = {PurePosixPath(m.name): m for m in archive.getmembers() if m.isfile()}
        kinds = _by_kind(list(members))
        self._annotations, self._images = (
            {name: (members[one].offset_data, members[one].size) for name, one in kind.items()}
            for kind in kinds
        )
        self.names = tuple(sorted({*self._annotations, *self._images}))

    def annotation(self, name: str) -> bytes | None:
        return self._content(self._annotations.get(name))

    def image(self, name: str) -> bytes | None:
        return self._content(self._images.get(name))

    def _content(self, place: tuple[int, int] | None) -> bytes | None:
        if place is None:
            return None
        offset, size = place
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise TrainingError(f"cannot read {self._path}: {error}") from error


def _by_kind(
    paths: list[PurePosixPath],
) -> tuple[dict[str, PurePosixPath], dict[str, PurePosixPath]]:
    """Annotations and images by name; hidden files, such as those of macOS, are none."""
    annotations: dict[str, PurePosixPath] = {}
    images: dict[str, PurePosixPath] = {}
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.parent.name == _ANNOTATIONS and path.suffix.lower() == ".xml":
            annotations.setdefault(path.stem, path)
        elif path.parent.name == _IMAGES:
            images.setdefault(path.stem, path)
    return annotations, images
