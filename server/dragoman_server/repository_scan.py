"""Finds the bundles in the folders of a model repository, without loading any."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from dragoman_models.bundle import CARD, CONFIG, METRICS, is_model_name, is_version
from dragoman_server.errors import ConfigError
from dragoman_server.model_version import ModelVersion

_LARGEST_PEEK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def shipped_repository() -> Path:
    """The folder of the models that ship with Dragoman."""
    return Path(str(resources.files("dragoman_models"))) / "pretrained"


def find_bundles(folders: Sequence[Path]) -> list[ModelVersion]:
    """The bundles NAME/VERSION in `folders`, by name and version, all of them still to be loaded.

    What is not named like a bundle is passed over. Of two bundles of one name and version, that of
    the first folder counts. Raises `ConfigError` for a folder that is none or cannot be read.
    """
    found: dict[tuple[str, int], ModelVersion] = {}
    for folder in folders:
        for path in _bundle_folders(folder):
            key = (path.parent.name, int(path.name))
            if key in found:
                _log.warning("%s is passed over: %s has this version too", path, found[key].path)
            else:
                found[key] = _peek(path)
    return [found[key] for key in sorted(found)]


def _bundle_folders(repository: Path) -> Iterator[Path]:
    try:
        names = sorted(path for path in repository.iterdir() if is_model_name(path.name))
    except OSError as error:
        raise ConfigError(
            f"model_repositories: {repository} cannot be read ({error.strerror or error}); "
            "give a folder of bundles, NAME/VERSION"
        ) from error
    for name in names:
        try:
            versions = [path for path in name.iterdir() if is_version(path.name)]
        except NotADirectoryError:
            continue
        except OSError as error:
            _log.warning("%s is passed over: %s", name, error.strerror or error)
            continue
        yield from (path for path in versions if path.is_dir())


def _peek(path: Path) -> ModelVersion:
    return ModelVersion(
        name=path.parent.name,
        version=int(path.name),
        path=path,
        size_bytes=_size(path),
        config=_json_object(path / CONFIG),
        metrics=_json_object(path / METRICS),
        card=_text(path / CARD),
    )


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError:
        return 0


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_PEEK_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _json_object(path: Path) -> Mapping[str, Any]:
    """The object in the file, or {}: what is wrong with it is said when the bundle is loaded."""
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
