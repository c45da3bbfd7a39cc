"""Published GloVe vectors as word and matrix: Stanford's text format, or wink-nlp's JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dragoman_models.embeddings.cosine_index import Float32Matrix
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
    """One word a line with its D numbers, apart by single spaces."""
    words: list[str] = []
    rows: list[Float32Matrix] = []
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip("\n").split(" ")
            try:
                row = np.array(values, dtype=np.float32)
            except ValueError as error:
                raise InvalidInputError.single(
                    f"{path} line {number}", "is not a word and numbers, apart by single spaces"
                ) from error
            if not values or (rows and len(row) != len(rows[0])):
                width = len(rows[0]) if rows else "some"
                raise InvalidInputError.single(
                    f"{path} line {number}", f"has {len(row)} numbers where {width} are due"
                )
            words.append(word)
            rows.append(row)
    if not rows:
        raise InvalidInputError.single(str(path), "is empty; give a file of word vectors")
    return SourceVectors(words=tuple(words), matrix=np.stack(rows), limits=_TEXT_LIMITS)
