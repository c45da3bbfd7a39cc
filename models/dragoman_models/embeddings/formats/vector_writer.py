"""Word vectors written as other programs read them."""

import enum
import gzip
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.errors import InvalidInputError, quoted

_ROWS_AT_ONCE = 4_096
_WHITE_SPACE = (" ", "\t", "\n", "\r", "\v", "\f")


class ExportFormat(enum.Enum):
    """A format that can be written."""

    GLOVE_TEXT = "glove-text"
    WORD2VEC_TEXT = "word2vec-text"
    WORD2VEC_BINARY = "word2vec-binary"
    FASTTEXT_VEC = "fasttext-vec"  # which is word2vec's text


def write_vectors(
    path: Path,
    words: Iterable[str],
    matrix: Float32Matrix,
    export_format: ExportFormat,
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Write `path`, whole or not at all, packed by gzip where its name ends in .gz.

    float32 numbers are read back as they were. `done` is told how many more words are written.

    Raises `InvalidInputError` for a word with white space in it, which no reader of these formats
    could tell from a separator, for a file that exists, and for a disk that is full.
    """
    names = list(words)
    for row, word in enumerate(names, start=1):
        if any(blank in word for blank in _WHITE_SPACE):
            raise InvalidInputError.single(
                f"word {row}", f"{quoted(word)} holds white space, which the format cannot tell"
            )
    if os.path.lexists(path):
        raise InvalidInputError.single(str(path), "already exists; give another name")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with _new_file(temporary, packed=path.suffix == ".gz") as file:
            if export_format is not ExportFormat.GLOVE_TEXT:
                file.write(f"{matrix.shape[0]} {matrix.shape[1]}\n".encode())
            encode = _binary if export_format is ExportFormat.WORD2VEC_BINARY else _text
            for start in range(0, len(names), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                file.write(encode(names[rows], matrix[rows]))
                done(len(names[rows]))
        temporary.rename(path)
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise InvalidInputError.single(str(path), problem) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _new_file(path: Path, *, packed: bool) -> Iterator[BinaryIO]:
    """A file to write to, on the disk when the block ends."""
    with path.open("xb") as plain:
        if packed:
            # Without a name and a time, the same vectors give the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0) as file:
                yield cast(BinaryIO, file)
        else:
            yield plain
        plain.flush()
        os.fsync(plain.fileno())


def _text(words: list[str], matrix: Float32Matrix) -> bytes:
    # Nine digits tell any two float32 apart.
    line = " ".join(["%s", *["%.9g"] * matrix.shape[1]]) + "\n"
    rows = matrix.tolist()
    lines = [line % (word, *row) for word, row in zip(words, rows, strict=True)]
    return "".join(lines).encode("utf-8")


def _binary(words: list[str], matrix: Float32Matrix) -> bytes:
    rows = np.ascontiguousarray(matrix, "<f4")
    return b"".join(
        word.encode("utf-8") + b" " + row.tobytes() + b"\n"
        for word, row in zip(words, rows, strict=True)
    )
