"""Any file of word vectors, its format told by its contents."""

import enum
from pathlib import Path

from dragoman_models.embeddings.formats.byte_source import open_bytes
from dragoman_models.embeddings.formats.fasttext_binary import MAGIC, read_fasttext_binary
from dragoman_models.embeddings.formats.imported import ImportedVectors, ReadOptions
from dragoman_models.embeddings.formats.text_reader import read_text
from dragoman_models.embeddings.formats.word2vec_binary import read_word2vec_binary

_SAMPLE_BYTES = 1 << 16
_TEXT_CONTROLS = b"\t\n\r"


class VectorFormat(enum.Enum):
    """A format that can be read. Text is GloVe's, word2vec's or fastText's .vec."""

    TEXT = "text"
    WORD2VEC_BINARY = "word2vec-binary"
    FASTTEXT_BINARY = "fasttext-binary"


_READERS = {
    VectorFormat.TEXT: read_text,
    VectorFormat.WORD2VEC_BINARY: read_word2vec_binary,
    VectorFormat.FASTTEXT_BINARY: read_fasttext_binary,
}


def read_vectors(
    path: Path, options: ReadOptions | None = None, *, file_format: VectorFormat | None = None
) -> ImportedVectors:
    """The vectors of `path`, plain or gzip; the format is told by the contents unless it is given.

    Raises `InvalidInputError` that says where the file is wrong.
    """
    return _READERS[file_format or detect_format(path)](path, options or ReadOptions())


def detect_format(path: Path) -> VectorFormat:
    """The format by which `path` seems to be written; raises `InvalidInputError`."""
    with open_bytes(path) as file:
        sample = file.read(_SAMPLE_BYTES)
    if sample.startswith(MAGIC):
        return VectorFormat.FASTTEXT_BINARY
    header, feed, rest = sample.partition(b"\n")
    fields = header.split()
    has_header = bool(feed) and len(fields) == 2 and all(part.isdigit() for part in fields)
    # Float32 numbers are full of control characters; text has none but these.
    binary = any(byte < 32 and byte not in _TEXT_CONTROLS for byte in rest)
    return VectorFormat.WORD2VEC_BINARY if has_header and binary else VectorFormat.TEXT
