"""Published GloVe vectors as word and matrix: Stanford's text format, or wink-nlp's JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.embeddings.formats.imported import DuplicateWords, ReadOptions
from dragoman_models.embeddings.formats.vector_file import VectorFormat, read_vectors
from dragoman_models.errors import InvalidInputError

_JSON_LIMITS = """\
Of GloVe's 400,000 words the source leaves out 58,521: numbers, contractions ("n't", "'s") and some
  very frequent short words ("a", "i", "u.s."); these are unknown words here."""
_TEXT_LIMITS = "Words below the cut in frequency are unknown words here."


@dataclass(frozen=True, kw_only=True)
class SourceVectors:
    """Words, most frequent first, and their vectors (V, D)."""

    words: tuple[str, ...]
    matrix: Float32Matrix
    limits: str  # what the source leaves out, for the card


def read_glove(path: Path) -> SourceVectors:
    """The vectors of `path`: JSON where it ends in .json, else GloVe text.

    Raises `InvalidInputError` that says where the file is wrong.
    """
    return _read_json(path) if path.suffix == ".json" else _read_text(path)


def _read_json(path: Path) -> SourceVectors:
    """`words` in order, and `vectors` by word: D numbers, then the length and the index."""
    try:
        document = json.loads(path.read_bytes())
        words, vectors, width = document["words"], document["vectors"], document["dimensions"]
        matrix = np.empty((len(words), width), dtype=np.float32)
        for row, word in enumerate(words):
            matrix[row] = vectors[word][:width]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError.single(
            str(path), f"is not wink-nlp's JSON of word vectors ({error!r})"
        ) from error
    return SourceVectors(words=tuple(words), matrix=matrix, limits=_JSON_LIMITS)


def _read_text(path: Path) -> SourceVectors:
    options = ReadOptions(duplicates=DuplicateWords.REFUSE)
    read = read_vectors(path, options, file_format=VectorFormat.TEXT)
    return SourceVectors(words=read.words, matrix=read.matrix, limits=_TEXT_LIMITS)
