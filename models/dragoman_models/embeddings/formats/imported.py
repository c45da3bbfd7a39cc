"""What reading a file of word vectors gives, and the choices that it leaves to the caller."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.embeddings.subwords import SubwordVectors
from dragoman_models.errors import InvalidInputError, quoted

_REPORTED_DUPLICATES = 20


class DuplicateWords(enum.Enum):
    """What becomes of a word that the file holds twice."""

    KEEP_FIRST = "keep-first"  # which is the more frequent; the others are reported
    REFUSE = "refuse"


class InvalidUtf8(enum.Enum):
    """What becomes of a word that is not UTF-8 (word2vec cuts long words between bytes)."""

    REFUSE = "refuse"
    REPLACE = "replace"  # by U+FFFD, as Unicode recommends


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """`words` reads only that many of the file's first words; None reads all.

    `on_read` is told how many more bytes were taken from the disk, and may raise to stop.
    """

    words: int | None = None
    duplicates: DuplicateWords = DuplicateWords.KEEP_FIRST
    invalid_utf8: InvalidUtf8 = InvalidUtf8.REFUSE
    on_read: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class DroppedWord:
    """A word that was left out because an earlier line holds it too."""

    word: str
    line: int  # in a binary file, the number of the entry


@dataclass(frozen=True, kw_only=True)
class ImportedVectors:
    """Words in the file's order, most frequent first by convention, and their vectors (V, D)."""

    words: tuple[str, ...]
    matrix: Float32Matrix
    subwords: SubwordVectors | None = None
    dropped: tuple[DroppedWord, ...] = ()  # the first 20
    dropped_count: int = 0


def wrong_file(path: Path, place: str, description: str) -> InvalidInputError:
    """The error of a file, at `place`: "line 3", "entry 7", or "" for all of it."""
    return InvalidInputError.single(f"{path} {place}".rstrip(), description)


def collect(
    path: Path,
    words: Iterable[bytes],
    matrix: NDArray[Any],
    options: ReadOptions,
    *,
    unit: str,
    first: int,
    subwords: SubwordVectors | None = None,
) -> ImportedVectors:
    """The vectors after the checks that all formats share: words that are empty, repeated or not
    UTF-8. `unit` and `first` say how the file counts its words: lines from 2, entries from 1."""
    rows: dict[str, int] = {}
    dropped: list[DroppedWord] = []
    dropped_count = 0
    errors = "replace" if options.invalid_utf8 is InvalidUtf8.REPLACE else "strict"
    kept: list[int] = []
    for row, raw in enumerate(words):
        try:
            word = raw.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise wrong_file(
                path, f"{unit} {first + row}", f"the word {quoted(repr(raw))} is not UTF-8"
            ) from error
        if not word or "\n" in word:
            raise wrong_file(path, f"{unit} {first + row}", "has no word before its numbers")
        if rows.setdefault(word, row) == row:
            kept.append(row)
            continue
        if options.duplicates is DuplicateWords.REFUSE:
            raise wrong_file(
                path,
                f"{unit} {first + row}",
                f"repeats the word {quoted(word)} of {unit} {first + rows[word]}",
            )
        dropped_count += 1
        if dropped_count <= _REPORTED_DUPLICATES:
            dropped.append(DroppedWord(word=word, line=first + row))
    return ImportedVectors(
        words=tuple(rows),
        matrix=matrix if not dropped_count else matrix[kept],
        subwords=subwords,
        dropped=tuple(dropped),
        dropped_count=dropped_count,
    )
