"""The bytes of a file, plain or gzip, in blocks."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dragoman_models.embeddings.formats.imported import wrong_file

_GZIP = b"\x1f\x8b"


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file at `path` for reading, unpacked where it is gzip, whatever its name.

    Raises `InvalidInputError` where it cannot be opened or read, or its gzip is damaged.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(len(_GZIP)) == _GZIP
            plain.seek(0)
            if packed:
                with gzip.open(plain) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield plain
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise wrong_file(path, "", f"its gzip is cut short or damaged ({error})") from error
    except OSError as error:
        raise wrong_file(path, "", f"cannot be read: {error.strerror or error}") from error


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """Up to `count` bytes: fewer only at the file's end."""
    parts = []
    while count > 0 and (part := file.read(min(count, 1 << 24))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
