"""Vectors in the binary format of word2vec.c and gensim.

A line "V D", then V entries: the word, one space, D little-endian float32 and, from word2vec.c but
not from gensim, a line feed.
"""

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.embeddings.formats.byte_source import open_bytes
from dragoman_models.embeddings.formats.imported import (
    ImportedVectors,
    ReadOptions,
    collect,
    wrong_file,
)
from dragoman_models.errors import InvalidInputError, quoted

_HEADER = re.compile(rb"(\d{1,12}) (\d{1,7})[ \r]*\n")
_LONGEST_HEADER = 64
_LONGEST_WORD_BYTES = 4_096
_BLOCK_BYTES = 1 << 23


def read_word2vec_binary(path: Path, options: ReadOptions) -> ImportedVectors:
    """The vectors of a word2vec binary file, plain or gzip.

    Raises `InvalidInputError` that names the entry: a file that is cut short or has more than its
    header promises, a value that is not finite, a word that is empty or not UTF-8.
    """
    with open_bytes(path, options.on_read) as file:
        start = file.read(_BLOCK_BYTES)
        header = _HEADER.match(start[:_LONGEST_HEADER])
        if header is None or not int(header[1]) or not int(header[2]):
            raise wrong_file(path, "", 'does not begin with a line "V D", so is no word2vec file')
        promised, width = int(header[1]), int(header[2])
        entries = _Entries(path, file, start[header.end() :], width, promised)
        while entries.read_block(options.words):
            pass
    matrix = np.concatenate(entries.blocks)
    not_finite = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if not_finite.size:
        raise wrong_file(path, f"entry {not_finite[0] + 1}", "holds a number that is not finite")
    return collect(path, entries.words, matrix, options, unit="entry", first=1)


class _Entries:
    """The entries read so far, and the bytes that are still to be read."""

    def __init__(
        self, path: Path, file: BinaryIO, pending: bytes, width: int, promised: int
    ) -> None:
        self.words: list[bytes] = []
        self.blocks: list[Float32Matrix] = []
        self._path, self._file, self._pending = path, file, pending
        self._width, self._promised = width, promised
        self._at_end = False

    def read_block(self, wanted: int | None) -> bool:
        """Read the entries that are pending, then more bytes; False after the last entry."""
        limit = self._promised if wanted is None else min(wanted, self._promised)
        data, place, starts = self._pending, 0, []
        size = 4 * self._width
        while len(self.words) < limit:
            word_start = place + data.startswith(b"\n", place)
            space = data.find(b" ", word_start, word_start + _LONGEST_WORD_BYTES)
            if space < 0 and len(data) - word_start >= _LONGEST_WORD_BYTES:
                raise self._wrong("has a word of more than 4,096 bytes: the numbers have slipped")
            if space < 0 or space + 1 + size > len(data):
                break
            self.words.append(data[word_start:space])
            starts.append(space + 1)
            place = space + 1 + size
        self._keep_vectors(data, starts)
        if len(self.words) == limit:
            self._check_end(data[place:], wanted)
            return False
        if self._at_end:
            problem = f"is cut short: the header promises {self._promised:,} words"
            raise self._wrong(f"{problem}, and {len(self.words):,} are whole")
        block = self._file.read(max(_BLOCK_BYTES, size))
        self._at_end = not block
        self._pending = data[place:] + block
        return True

    def _keep_vectors(self, data: bytes, starts: list[int]) -> None:
        vectors = np.empty((len(starts), self._width), "<f4")
        for row, start in enumerate(starts):
            vectors[row] = np.frombuffer(data, "<f4", self._width, start)
        self.blocks.append(vectors.astype(np.float32, copy=False))

    def _check_end(self, rest: bytes, wanted: int | None) -> None:
        if wanted is not None and wanted < self._promised:
            return
        rest = (rest + self._file.read(_LONGEST_HEADER)).lstrip(b"\n")
        if rest:
            raise wrong_file(
                self._path,
                "",
                f"goes on after the {self._promised:,} words that its header promises, with "
                f"{quoted(repr(rest[:16]))}: the header or the numbers' count is wrong",
            )

    def _wrong(self, description: str) -> InvalidInputError:
        return wrong_file(self._path, f"entry {len(self.words) + 1}", description)
