"""A model on disk: the folder NAME/VERSION/, written whole or not at all, and checked on reading.

    config.json           `family`, sizes, hyperparameters, versions of the libraries it came from
    weights.safetensors   the tensors (never pickle)
    metrics.json          what was measured, with the exact command
    CARD.md               data, licence, attribution, limits
    SHA256SUMS            checked on loading, and by `sha256sum -c SHA256SUMS`
    tokenizer.model, vocabulary.txt, ...   where the family has them

NAME is lowercase letters, digits, '.', '_' and '-'; VERSION is a whole number from 1. A bundle
never changes once it is written: a new model is a new version.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dragoman_models.errors import BundleError, quoted
from dragoman_models.tensor_file import (
    Array,
    TensorFileError,
    decode_numpy,
    decode_torch,
    encode_tensors,
    map_numpy,
    stated_length,
)

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
METRICS = "metrics.json"
CARD = "CARD.md"
CHECKSUMS = "SHA256SUMS"
REQUIRED_FILES = (CONFIG, WEIGHTS, METRICS, CARD)

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CHECKSUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_LARGEST_CHECKSUMS_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


def is_model_name(text: str) -> bool:
    """Whether `text` can name a model; what passes is safe as the name of a folder."""
    return _MODEL_NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether `text` is a bundle's version: a whole number from 1, without leading zeros."""
    return _VERSION.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose files were all there and matched their checksums when it was read."""

    path: Path
    name: str
    version: int
    family: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    card: str
    checksums: Mapping[str, str]  # file name -> SHA-256, in hexadecimal

    def file(self, name: str) -> bytes:
        """The contents of one of the bundle's own files; raises `BundleError`."""
        if name not in self.checksums:
            raise BundleError(self.path, f"the bundle has no file {quoted(name)}")
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise _unreadable(self.path, name, error) from error

    def numpy_tensors(self) -> dict[str, Array]:
        """The weights as numpy arrays, without importing torch; bfloat16 comes as float32."""
        try:
            return decode_numpy(self.file(WEIGHTS))
        except TensorFileError as error:
            raise BundleError(self.path, f"{WEIGHTS}: {error}") from error

    def mapped_tensors(self) -> dict[str, Array]:
        """The weights as read-only numpy arrays over the file itself: for tensors of which little
        is read, or which other processes of this machine map too."""
        try:
            return map_numpy(self.path / WEIGHTS)
        except TensorFileError as error:
            raise BundleError(self.path, f"{WEIGHTS}: {error}") from error
        except OSError as error:
            raise _unreadable(self.path, WEIGHTS, error) from error

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """The weights as torch tensors, in the types they were written in."""
        try:
            return decode_torch(self.file(WEIGHTS))
        except TensorFileError as error:
            raise BundleError(self.path, f"{WEIGHTS}: {error}") from error


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, which is NAME/VERSION, after checking every file's checksum.

    Raises `BundleError` that says what is wrong: no bundle, a missing, damaged or cut-short file,
    a link that leads out of the folder, a config that is not a JSON object.
    """
    folder = folder.absolute()
    _check_folder_name(folder)
    if not folder.is_dir():
        raise BundleError(folder, "there is no such folder")
    checksums = _read_checksums(folder)
    for name in REQUIRED_FILES:
        if name not in checksums:
            raise BundleError(folder, f"{name} is not listed in {CHECKSUMS}, so this is no bundle")
    for name, expected in checksums.items():
        _verify(folder, name, expected)
    config = _read_json_object(folder, CONFIG)
    family = config.get("family")
    if not isinstance(family, str) or not family:
        raise BundleError(folder, f'{CONFIG} must name the model\'s "family", as text')
    return Bundle(
        path=folder,
        name=folder.parent.name,
        version=int(folder.name),
        family=family,
        config=config,
        metrics=_read_json_object(folder, METRICS),
        card=_read_text(folder, CARD),
        checksums=checksums,
    )


def check_new_folder(folder: Path) -> None:
    """Raises `BundleError` where `write_bundle` would refuse `folder`: it exists, or its name is
    not NAME/VERSION. For before long work whose outcome goes there."""
    folder = folder.absolute()
    if not (is_model_name(folder.parent.name) and is_version(folder.name)):
        raise BundleError(
            folder, "is not NAME/VERSION, such as models/my-vectors/1 (the version a whole number)"
        )
    if os.path.lexists(folder):
        raise BundleError(folder, "already exists; a bundle never changes, give the next version")


def write_bundle(
    folder: Path,
    *,
    config: Mapping[str, object],
    tensors: "Mapping[str, torch.Tensor | Array]",
    files: Mapping[str, bytes],
    metrics: Mapping[str, object],
    card: str,
) -> None:
    """Write the bundle NAME/VERSION at `folder`, whole or not at all.

    Everything goes to a temporary folder beside it, is flushed to the disk and then renamed, so
    that a reader never meets half a bundle; on any failure, a full disk and an interrupt among
    them, nothing is left. The same input gives the same bytes.

    Raises `BundleError`: the folder exists, a name is not allowed, `config` names no family,
    a value is not JSON, the disk is full.
    """
    folder = folder.absolute()
    _check_folder_name(folder)
    contents = _contents(folder, config, tensors, files, metrics, card)
    try:
        with _new_folder(folder) as temporary:
            for name, data in contents.items():
                _write_file(temporary / name, data)
            _flush_folder(temporary)
    except OSError as error:
        raise BundleError(folder, f"cannot be written: {error.strerror or error}") from error


def _contents(
    folder: Path,
    config: Mapping[str, object],
    tensors: "Mapping[str, torch.Tensor | Array]",
    files: Mapping[str, bytes],
    metrics: Mapping[str, object],
    card: str,
) -> dict[str, bytes]:
    if not isinstance(config.get("family"), str) or not config["family"]:
        raise BundleError(folder, 'config must name the model\'s "family", as text')
    if not card.strip():
        raise BundleError(folder, "the card is empty; say data, licence, attribution and limits")
    for name in files:
        if _FILE_NAME.fullmatch(name) is None or name in (*REQUIRED_FILES, CHECKSUMS):
            raise BundleError(folder, f"{quoted(name)} cannot be the name of an extra file")
    contents = {
        CONFIG: _json_bytes(folder, CONFIG, config),
        WEIGHTS: encode_tensors(tensors),
        METRICS: _json_bytes(folder, METRICS, metrics),
        CARD: card.encode(),
        **{name: bytes(data) for name, data in files.items()},
    }
    lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents)]
    return {**contents, CHECKSUMS: "".join(lines).encode()}


def _json_bytes(folder: Path, name: str, value: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(dict(value), indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(folder, f"{name} cannot be written as JSON: {error}") from error


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` if the block succeeds, and vanishes if not."""
    if os.path.lexists(folder):
        raise BundleError(folder, "already exists; a bundle never changes, write the next version")
    made = [p for p in (folder.parent, *folder.parent.parents) if not p.exists()]
    # The name starts with a dot, so that no reader takes it for a version or a model.
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.tmp"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)
        raise
    _flush_folder(folder.parent)


def _remove_if_empty(folder: Path) -> None:
    # Where someone else has put something there since, it is theirs now.
    with suppress(OSError):
        folder.rmdir()


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_folder_name(folder: Path) -> None:
    name, version = folder.parent.name, folder.name
    if not is_version(version):
        raise BundleError(
            folder, f"the version {quoted(version)} is not a whole number from 1 (1, 2, 3, ...)"
        )
    if not is_model_name(name):
        raise BundleError(
            folder,
            f"the model name {quoted(name)} is not allowed; use lowercase letters, digits, '.', "
            "'_' and '-', starting with a letter or a digit",
        )


def _read_checksums(folder: Path) -> dict[str, str]:
    path = _own_file(folder, CHECKSUMS)
    if path.stat().st_size > _LARGEST_CHECKSUMS_BYTES:
        raise BundleError(folder, f"{CHECKSUMS} is larger than 1 MiB, so this is no bundle")
    checksums: dict[str, str] = {}
    for number, line in enumerate(_read_text(folder, CHECKSUMS).splitlines(), start=1):
        match = _CHECKSUM_LINE.fullmatch(line)
        if match is None or _FILE_NAME.fullmatch(match[2]) is None or match[2] in checksums:
            raise BundleError(
                folder, f"{CHECKSUMS} line {number} is not '<SHA-256>  <file name>', once a file"
            )
        checksums[match[2]] = match[1]
    return checksums


def _own_file(folder: Path, name: str) -> Path:
    """The path of a regular file that lies in `folder` itself, links followed."""
    path = folder / name
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(folder.resolve()):
            raise BundleError(folder, f"{name} is a link that leads out of the bundle")
        if not stat.S_ISREG(target.stat().st_mode):
            raise BundleError(folder, f"{name} is not a regular file")
    except FileNotFoundError as error:
        raise BundleError(folder, f"the file {name} is missing") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, in Python 3.11.
        raise _unreadable(folder, name, error) from error
    return path


def _verify(folder: Path, name: str, expected: str) -> None:
    path = _own_file(folder, name)
    digest = hashlib.sha256()
    start, length = b"", 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                start = start or chunk
                length += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(folder, name, error) from error
    if digest.hexdigest() != expected:
        raise BundleError(folder, _damage(name, start, length))


def _damage(name: str, start: bytes, length: int) -> str:
    """What seems to have happened to a file that does not match its checksum."""
    advice = "copy the bundle again"
    if length == 0:
        return f"{name} is empty; {advice}"
    stated = stated_length(start) if name == WEIGHTS else None
    if stated is not None and length < stated:
        return f"{name} is cut short: {length:,} of {stated:,} bytes; {advice}"
    return (
        f"{name} does not match its checksum in {CHECKSUMS}: it is damaged, cut short or was "
        f"edited; {advice}"
    )


def _read_text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(folder, f"{name} is not UTF-8 text (byte {error.start:,})") from error
    except OSError as error:
        raise _unreadable(folder, name, error) from error


def _read_json_object(folder: Path, name: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(_read_text(folder, name), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BundleError(folder, f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleError(folder, f"{name} must hold a JSON object, not a {type(value).__name__}")
    return value


def _unreadable(folder: Path, name: str, error: Exception) -> BundleError:
    reason = getattr(error, "strerror", None) or str(error)
    return BundleError(folder, f"{name} cannot be read: {reason}")
