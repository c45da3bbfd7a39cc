"""Finds the bundles in the folders of a model repository, without loading any.

A folder's signature is the name, size, and times of last change of each of its files: what
`stat` says, so that looking costs next to nothing, also on a disk of the network.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from dragoman_models.bundle import CARD, CONFIG, METRICS, is_model_name, is_version
from dragoman_server.errors import ConfigError
from dragoman_server.model_version import FolderSignature, Key, ModelVersion

_LARGEST_PEEK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def shipped_repository() -> Path:
    """The folder of the models that ship with Dragoman."""
    return Path(str(resources.files("dragoman_models"))) / "pretrained"


@dataclass(frozen=True, kw_only=True)
class BundleFolder:
    """A folder NAME/VERSION as one look found it."""

    path: Path
    signature: FolderSignature

    @property
    def size_bytes(self) -> int:
        """Of its files together."""
        return sum(size for _, size, _, _ in self.signature)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one look at all folders found. What lies below `unreadable` may or may not be there."""

    found: Mapping[Key, BundleFolder]
    unreadable: Mapping[Path, str] = field(default_factory=dict)  # and why

    def versions(self) -> list[ModelVersion]:
        """What was found, by name and version, all still to be loaded."""
        return [peek(self.found[key]) for key in sorted(self.found)]

    def is_gone(self, version: ModelVersion) -> bool:
        """Whether the folder of `version`, and any other of its name and number, has gone."""
        hidden = any(version.path.is_relative_to(path) for path in self.unreadable)
        return version.key not in self.found and not hidden


class RepositoryFolders:
    """The folders of a repository, to be looked at again and again.

    What is not named like a bundle is passed over. Of two bundles of one name and version, that of
    the first folder counts.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises `ConfigError` for a folder that is none or cannot be read."""
        self._folders = tuple(folders)
        self._passed_over: set[Path] = set()
        self._devices: dict[Path, int] = {}
        unreadable = self.scan().unreadable
        for folder in self._folders:
            if folder in unreadable:
                raise ConfigError(
                    f"model_repositories: {folder} cannot be read ({unreadable[folder]}); "
                    "give a folder of bundles, NAME/VERSION"
                )
        self._devices = {folder: folder.stat().st_dev for folder in self._folders}

    def scan(self) -> Scan:
        """One look. What cannot be read is reported, never raised."""
        found: dict[Key, BundleFolder] = {}
        unreadable: dict[Path, str] = {}
        for folder in self._folders:
            for path in self._bundle_paths(folder, unreadable):
                key = (path.parent.name, int(path.name))
                if key not in found:
                    found[key] = BundleFolder(path=path, signature=folder_signature(path))
                elif path not in self._passed_over:
                    self._passed_over.add(path)
                    other = found[key].path
                    _log.warning("%s is passed over: %s has this version too", path, other)
        return Scan(found=found, unreadable=unreadable)

    def _bundle_paths(self, repository: Path, unreadable: dict[Path, str]) -> list[Path]:
        try:
            names = sorted(path for path in repository.iterdir() if is_model_name(path.name))
            if not names and self._is_unmounted(repository):
                unreadable[repository] = "it is empty, and on another disk than before"
        except OSError as error:
            unreadable[repository] = error.strerror or str(error)
            return []
        paths: list[Path] = []
        for name in names:
            try:
                paths += [path for path in name.iterdir() if is_version(path.name)]
            except (NotADirectoryError, FileNotFoundError):
                continue
            except OSError as error:
                unreadable[name] = error.strerror or str(error)
        return sorted(path for path in paths if path.is_dir())

    def _is_unmounted(self, repository: Path) -> bool:
        """Whether what looks like an empty repository is the place where its disk was mounted."""
        device = repository.stat().st_dev
        return self._devices.get(repository, device) != device


def folder_signature(path: Path) -> FolderSignature:
    """What the folder's files look like from outside; empty where it cannot be read."""
    entries = []
    try:
        with os.scandir(path) as found:
            for entry in found:
                if entry.is_file():
                    about = entry.stat()  # of a link, what it leads to
                    changed = (about.st_mtime_ns, about.st_ctime_ns)
                    entries.append((entry.name, about.st_size, *changed))
    except OSError:
        return ()
    return tuple(sorted(entries))


def peek(folder: BundleFolder) -> ModelVersion:
    """The version in `folder`, still to be loaded, with what its files say of themselves."""
    path = folder.path
    return ModelVersion(
        name=path.parent.name,
        version=int(path.name),
        path=path,
        size_bytes=folder.size_bytes,
        signature=folder.signature,
        config=_json_object(path / CONFIG),
        metrics=_json_object(path / METRICS),
        card=_text(path / CARD),
    )


def _text(path: Path) -> str:
    """The beginning of a regular file that lies in the folder itself, links followed; "" of any
    other: a pipe would never end, and a link may lead to what is no caller's business."""
    try:
        target = path.resolve(strict=True)
        if not (target.is_relative_to(path.parent.resolve()) and target.is_file()):
            return ""
        with target.open("rb") as file:
            return file.read(_LARGEST_PEEK_BYTES).decode("utf-8")
    except (OSError, RuntimeError, UnicodeDecodeError):  # RuntimeError: a loop of links
        return ""


def _json_object(path: Path) -> Mapping[str, Any]:
    """The object in the file, or {}: what is wrong with it is said when the bundle is loaded."""
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
