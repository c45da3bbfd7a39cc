"""The bytes of a file, plain or gzip, in blocks."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from dragoman_models.embeddings.formats.imported import wrong_file
from dragoman_models.errors import InvalidInputError

_GZIP = b"\x1f\x8b"
DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class _WatchedFile(io.FileIO):
    """A file that tells `on_read` how many bytes each reading took from the disk."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_read = on_read

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self._on_read(count)
        return count


@contextmanager
def open_bytes(path: Path, on_read: Callable[[int], None] = lambda _: None) -> Iterator[BinaryIO]:
    """The file at `path` for reading, unpacked where it is gzip, whatever its name.

    `on_read` is told how many more bytes were taken from the disk. Raises `InvalidInputError` where
    the file cannot be opened or read, or its gzip is damaged.
    """
    try:
        with io.BufferedReader(_WatchedFile(path, on_read)) as plain:
            packed = plain.read(len(_GZIP)) == _GZIP
            plain.seek(0)
            if packed:
                with gzip.open(plain) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield plain
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, "", error) from error
    except OSError as error:
        raise wrong_file(path, "", f"cannot be read: {error.strerror or error}") from error


def damaged_gzip(path: Path, place: str, error: Exception) -> InvalidInputError:
    """The error of a packed file that cannot be unpacked beyond `place`."""
    return wrong_file(path, place, f"its gzip is cut short or damaged ({error})")


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """Up to `count` bytes: fewer only at the file's end."""
    parts = []
    while count > 0 and (part := file.read(min(count, 1 << 24))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
