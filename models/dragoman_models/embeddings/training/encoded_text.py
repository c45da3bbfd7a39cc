"""A text as a file of word indices, made in one pass and then read by every epoch.

The file holds int32: an index for each word, SENTENCE_END after each line, UNKNOWN for a word
outside the vocabulary. First the words are numbered as they come; when all are counted, the
vocabulary is chosen and the file is rewritten with its indices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.text_stream import LINE_END
from dragoman_models.errors import TrainingError

SENTENCE_END = -1
UNKNOWN = -2
Ids = NDArray[np.int32]

_BLOCK_IDS = 1 << 22
_MOST_DISTINCT = 20_000_000
_MOST_NUMBERS = 2**31 - 1


class _Numbers(dict[str, int]):
    """Gives each new word the next number; a line's end is word 0."""

    def __init__(self) -> None:
        super().__init__({LINE_END: 0})
        self.given = 1

    def __missing__(self, word: str) -> int:
        number = self[word] = self.given
        self.given += 1
        return number


class TextIndex:
    """The numbers of a text's words, and how often each stands.

    Memory is bounded: whenever there are more than `most_distinct` words, the rarest are
    forgotten, those seen once first, then those seen twice, and so on, as word2vec does.
    """

    def __init__(self, *, most_distinct: int = _MOST_DISTINCT) -> None:
        self._numbers = _Numbers()
        self._counts = np.zeros(1, dtype=np.int64)
        self._uncounted: list[Ids] = []
        self._most_distinct = most_distinct
        self._forget = 0
        self.text_words = 0

    def write(self, path: Path, blocks: Iterable[list[str]]) -> None:
        """Writes the text as word numbers; raises `TrainingError`."""
        write_blocks(path, map(self._numbered, blocks))
        self._count()

    def counts(self) -> dict[str, int]:
        """How often each word stands that has not been forgotten."""
        counts = self._counts.tolist()
        return {word: counts[n] for word, n in self._numbers.items() if n != 0}

    def indices(self, vocabulary: Mapping[str, int]) -> Ids:
        """For each word number the word's index in the vocabulary, SENTENCE_END, or UNKNOWN."""
        indices = np.full(self._numbers.given, UNKNOWN, dtype=np.int32)
        for word, number in self._numbers.items():
            indices[number] = vocabulary.get(word, UNKNOWN)
        indices[0] = SENTENCE_END
        return indices

    def _numbered(self, tokens: list[str]) -> Ids:
        if self._numbers.given + len(tokens) > _MOST_NUMBERS:
            raise TrainingError("corpus: has too many different words; is it text in a language?")
        ids = np.fromiter(map(self._numbers.__getitem__, tokens), np.int32, len(tokens))
        self._uncounted.append(ids)
        if sum(map(len, self._uncounted)) >= _BLOCK_IDS or self._is_full():
            self._count()
        while self._is_full():
            self._forget_rarest()
        return ids

    def _is_full(self) -> bool:
        return len(self._numbers) > self._most_distinct + 1

    def _count(self) -> None:
        ids = np.concatenate([np.empty(0, dtype=np.int32), *self._uncounted])
        counts = np.bincount(ids, minlength=self._numbers.given)
        counts[: len(self._counts)] += self._counts
        self.text_words += int((ids != 0).sum())
        self._counts, self._uncounted = counts, []

    def _forget_rarest(self) -> None:
        self._forget += 1
        for word, number in list(self._numbers.items()):
            if number != 0 and self._counts[number] <= self._forget:
                del self._numbers[word]


def read_ids(path: Path) -> Iterator[Ids]:
    """The indices in blocks of some megabytes."""
    ids = open_ids(path)
    for start in range(0, len(ids), _BLOCK_IDS):
        yield ids[start : start + _BLOCK_IDS]


def write_blocks(path: Path, blocks: Iterable[Ids]) -> None:
    """Writes blocks of indices one after the other, to a file that is complete or absent."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            for block in blocks:
                file.write(block.tobytes())
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def rewrite_ids(source: Path, target: Path, indices: Ids, *, keep_unknown: bool) -> None:
    """Replaces each number n >= 0 by indices[n]; negative ones stay as they are.

    Unless they are kept, unknown words are left out, so that the words around them become
    neighbours, as in word2vec.
    """

    def changed(ids: Ids) -> Ids:
        found = np.where(ids >= 0, indices[np.maximum(ids, 0)], ids)
        return found if keep_unknown else found[found != UNKNOWN]

    write_blocks(target, map(changed, read_ids(source)))


def open_ids(path: Path) -> Ids:
    """The indices, mapped into memory: only what is being read takes up any."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=np.int32)
    return np.memmap(path, dtype=np.int32, mode="r")
