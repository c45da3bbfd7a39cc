"""fastText's .bin models: words, their vectors, and the subword vectors behind them.

The layout, all little-endian: magic and version; twelve int32 and a double of training options; the
dictionary (sizes, then for each entry the word, NUL, an int64 count, an int8 kind); whether the
matrix is quantized; its sizes as two int64, and float32 rows: the words', then the buckets'. The
output matrix, which vectors do not need, follows in the same way.
A word's vector is the mean of its own row and its n-grams' rows (Bojanowski et al. 2017).
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.compiled import compiled
from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.embeddings.formats.byte_source import open_bytes, read_exactly
from dragoman_models.embeddings.formats.imported import (
    ImportedVectors,
    ReadOptions,
    collect,
    wrong_file,
)
from dragoman_models.embeddings.subwords import SubwordVectors, ngram_hash, ngrams
from dragoman_models.errors import InvalidInputError

MAGIC = struct.pack("<i", 793_712_314)
_VERSIONS = (11, 12)
_SUPERVISED = 3
_SENTENCE_END = b"</s>"  # has no n-grams
_WORD, _LABEL = 0, 1
_LONGEST_WORD_BYTES = 1 << 16
_LARGEST_MATRIX = 1 << 34  # numbers: 64 GiB


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What of the options and of the dictionary's sizes the vectors depend on."""

    width: int
    shortest: int
    longest: int
    bucket_count: int
    entry_count: int
    word_count: int
    pruned_count: int


def read_fasttext_binary(path: Path, options: ReadOptions) -> ImportedVectors:
    """The vectors of a .bin file, plain or gzip, with `subwords` where it was trained with them.

    Raises `InvalidInputError`: not a fastText model, a quantized one (.ftz), one that is cut short.
    """
    with open_bytes(path, options.on_read) as file:
        header = _read_header(path, file)
        entries = _read_entries(path, file, header)
        _read(path, file, 8 * max(0, header.pruned_count), "the dictionary")
        if _read(path, file, 1, "the matrix") != b"\0":
            raise wrong_file(
                path, "", "holds quantized vectors (.ftz), which are not read; give the .bin file"
            )
        matrix = _read_matrix(path, file, header)
        _check_rest(path, file)
    words = [word for word, kind in entries if kind == _WORD]
    if len(words) != header.word_count:
        raise wrong_file(path, "", f"says {header.word_count:,} words, but holds {len(words):,}")
    buckets = matrix[header.word_count :]
    wanted = words[: options.words]
    vectors = _word_vectors(wanted, matrix, header)
    if not (np.isfinite(vectors).all() and np.isfinite(buckets).all()):
        raise wrong_file(path, "", "holds a number that is not finite")
    subwords = None
    if len(buckets):
        subwords = SubwordVectors(
            shortest=header.shortest, longest=header.longest, codes=buckets, scales=None
        )
    return collect(path, wanted, vectors, options, unit="entry", first=1, subwords=subwords)


def _read_header(path: Path, file: BinaryIO) -> _Header:
    magic, version = struct.unpack("<4si", _read(path, file, 8, "the header"))
    if magic != MAGIC or version not in _VERSIONS:
        what = "is no fastText model" if magic != MAGIC else f"has fastText version {version}"
        raise wrong_file(path, "", f"{what}; give a .bin file of version 11 or 12")
    numbers = struct.unpack("<12id", _read(path, file, 56, "the options"))
    width, loss_model, buckets, shortest, longest = (numbers[i] for i in (0, 7, 8, 9, 10))
    entries, words, _, _, pruned = struct.unpack("<3i2q", _read(path, file, 28, "the dictionary"))
    if version == _VERSIONS[0] and loss_model == _SUPERVISED:
        longest = 0  # Version 11 wrote a number there that supervised models do not use.
    if not (width > 0 and buckets >= 0 and 0 < words <= entries):
        raise wrong_file(path, "", f"says {words} words of {width} numbers: its header is damaged")
    if pruned > 0:
        raise wrong_file(path, "", "holds a pruned dictionary, which is not read")
    return _Header(
        width=width, shortest=max(shortest, 0), longest=longest if shortest > 0 else 0,
        bucket_count=buckets, entry_count=entries, word_count=words, pruned_count=pruned,
    )  # fmt: skip


def _read_entries(path: Path, file: BinaryIO, header: _Header) -> list[tuple[bytes, int]]:
    entries: list[tuple[bytes, int]] = []
    pending = b""
    place = 0
    while len(entries) < header.entry_count:
        end = pending.find(b"\0", place)
        if end >= 0 and end + 9 < len(pending):
            entries.append((pending[place:end], pending[end + 9]))
            place = end + 10
            continue
        if len(pending) - place > _LONGEST_WORD_BYTES:
            raise wrong_file(path, f"entry {len(entries) + 1}", "has no end: the file is damaged")
        block = file.read(1 << 20)
        if not block:
            raise _cut_short(path, f"entry {len(entries) + 1} of {header.entry_count:,}")
        pending, place = pending[place:] + block, 0
    file.seek(place - len(pending), 1)
    return entries


def _read_matrix(path: Path, file: BinaryIO, header: _Header) -> Float32Matrix:
    rows, width = struct.unpack("<2q", _read(path, file, 16, "the matrix"))
    if width != header.width or rows not in (
        header.word_count,
        header.word_count + header.bucket_count,
    ):
        raise wrong_file(path, "", f"has a matrix of {rows} x {width}: it is damaged")
    if rows * width > _LARGEST_MATRIX:
        raise wrong_file(path, "", f"has a matrix of {rows:,} x {width}: too large to be read")
    data = _read(path, file, 4 * rows * width, "the matrix")
    return np.frombuffer(data, "<f4").reshape(rows, width).astype(np.float32, copy=False)


def _check_rest(path: Path, file: BinaryIO) -> None:
    """Read past the output matrix: a file that is cut short there is not whole either."""
    start = _read(path, file, 17, "the output matrix")
    rows, width = struct.unpack("<2q", start[1:])
    missing = 4 * rows * width if start[:1] == b"\0" else 0
    while missing > 0:
        block = file.read(min(missing, 1 << 24))
        if not block:
            raise _cut_short(path, "the output matrix")
        missing -= len(block)


def _word_vectors(words: list[bytes], matrix: Float32Matrix, header: _Header) -> Float32Matrix:
    """The mean of each word's own row and its n-grams' rows."""
    if len(matrix) == header.word_count or header.longest == 0:
        return matrix[: len(words)].copy()
    rows: list[int] = []
    ends: list[int] = []
    for index, word in enumerate(words):
        rows.append(index)
        if word != _SENTENCE_END:
            text = word.decode("utf-8", "surrogateescape")
            rows += [
                header.word_count + ngram_hash(ngram) % header.bucket_count
                for ngram in ngrams(text, header.shortest, header.longest)
            ]
        ends.append(len(rows))
    vectors = np.empty((len(words), header.width), np.float32)
    _average(matrix, np.array(rows), np.array(ends), vectors)
    return vectors


@compiled
def _average(
    matrix: Float32Matrix,
    rows: NDArray[np.int64],
    ends: NDArray[np.int64],
    vectors: Float32Matrix,
) -> None:
    """vectors[i] = the mean of matrix[rows[ends[i - 1] : ends[i]]], in float64."""
    total = np.empty(matrix.shape[1])
    start = 0
    for word in range(len(ends)):
        total[:] = 0
        for place in range(start, ends[word]):
            for column in range(len(total)):
                total[column] += matrix[rows[place], column]
        for column in range(len(total)):
            vectors[word, column] = total[column] / (ends[word] - start)
        start = ends[word]


def _read(path: Path, file: BinaryIO, count: int, what: str) -> bytes:
    data = read_exactly(file, count)
    if len(data) < count:
        raise _cut_short(path, what)
    return data


def _cut_short(path: Path, what: str) -> InvalidInputError:
    return wrong_file(path, "", f"is cut short in {what}; copy the file again")
