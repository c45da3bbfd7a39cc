"""Vectors in text, a line a word: GloVe's (no header), word2vec's and fastText's .vec (a header).

The header is "V D". A line is the word and D numbers, apart by spaces or tabs; numbers are read
from the right, so a word may hold spaces. But where the field before the numbers is a number too,
the line has too many numbers rather than such a word, and is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.cosine_index import Float32Matrix
from dragoman_models.embeddings.formats.byte_source import DAMAGED_GZIP, damaged_gzip, open_bytes
from dragoman_models.embeddings.formats.imported import (
    ImportedVectors,
    ReadOptions,
    collect,
    wrong_file,
)
from dragoman_models.embeddings.formats.text_kernel import TOO_FEW, TOO_MANY_UNCLEAR, parse_lines
from dragoman_models.errors import InvalidInputError, quoted

_BLOCK_BYTES = 1 << 23
_LONGEST_LINE = 1 << 22
_UNCLEAR_AT_ONCE = 1 << 16
_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s*")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(rb"[+-]?(nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TextLayout:
    """What the first lines tell: D, and V where there is a header."""

    width: int
    header_words: int | None

    @property
    def first_line(self) -> int:
        """The line of the first word."""
        return 1 if self.header_words is None else 2


@dataclass(kw_only=True)
class _Rows:
    """What has been read so far."""

    words: list[bytes] = field(default_factory=list)
    vectors: list[Float32Matrix] = field(default_factory=list)


def read_text(path: Path, options: ReadOptions) -> ImportedVectors:
    """The vectors of a text file, plain or gzip.

    Raises `InvalidInputError` that names the line: a wrong count of numbers, something that is no
    finite number, no word or one that is not UTF-8, fewer or more lines than the header promises,
    or a last line without an end, which is how a file that is cut short looks.
    """
    with open_bytes(path, options.on_read) as file:
        start = file.read(_LONGEST_LINE)
        layout = layout_of(path, start)
        rows = _Rows()
        for block in _whole_lines(path, file, start, layout):
            _parse(path, block, layout, rows)
            if options.words is not None and len(rows.words) >= options.words:
                break
        else:
            _check_count(path, layout, len(rows.words))
    wanted = slice(options.words)
    matrix = np.concatenate(rows.vectors)[wanted]
    return collect(path, rows.words[wanted], matrix, options, unit="line", first=layout.first_line)


def layout_of(path: Path, start: bytes) -> TextLayout:
    """The layout of a text file that begins with `start`; raises `InvalidInputError`."""
    first, feed, rest = start.partition(b"\n")
    if not first.strip():
        problem = "is empty" if not start else "has no word and numbers"
        raise wrong_file(path, "line 1", f"{problem}; give a file of word vectors")
    if not feed:
        raise wrong_file(path, "line 1", "has no end: this is no text file of word vectors")
    fields, second = first.split(), rest.partition(b"\n")[0].split()
    if (header := _HEADER.fullmatch(first)) and (len(second) != 2 or int(header[2]) == 1):
        count, width = int(header[1]), int(header[2])
        if count < 1 or not 1 <= width <= _LONGEST_LINE // 2:
            raise wrong_file(path, "line 1", f"promises {count} words of {width} numbers")
        return TextLayout(width=width, header_words=count)
    width = 0
    while width < len(fields) - 1 and _is_number(fields[-1 - width]):
        width += 1
    if width == 0:
        raise wrong_file(path, "line 1", f"has no numbers after a word: {quoted(str(first)[2:-1])}")
    return TextLayout(width=width, header_words=None)


def _is_number(text: bytes) -> bool:
    return bool(_NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text))


def _whole_lines(path: Path, file: BinaryIO, start: bytes, layout: TextLayout) -> Iterator[bytes]:
    """Blocks of whole lines, without the header."""
    pending = start.partition(b"\n")[2] if layout.header_words is not None else start
    at_end = False
    line = layout.first_line
    while not at_end or pending:
        try:
            block = file.read(_BLOCK_BYTES)
        except DAMAGED_GZIP as error:
            last = line - 1 + pending.count(b"\n")
            raise damaged_gzip(path, f"after line {last:,}", error) from error
        at_end = not block
        pending += block
        whole = pending.rfind(b"\n") + 1
        if whole:
            line += pending.count(b"\n", 0, whole)
            yield pending[:whole]
        elif at_end and pending:
            raise wrong_file(
                path,
                f"line {line:,}",
                "the last line has no end, so the file is cut short; if it is whole, end it with "
                "a line feed",
            )
        elif len(pending) > _LONGEST_LINE:
            raise wrong_file(path, f"line {line:,}", f"has more than {_LONGEST_LINE:,} bytes")
        pending = pending[whole:]


def _parse(path: Path, block: bytes, layout: TextLayout, rows: _Rows) -> None:
    """Add the lines of `block` to `rows`."""
    data = np.frombuffer(block, np.uint8)
    while len(data):
        line_count = int(np.count_nonzero(data == 10))
        vectors = np.empty((line_count, layout.width), np.float32)
        words = np.empty((line_count, 2), np.int64)
        unclear = np.empty((max(_UNCLEAR_AT_ONCE, layout.width), 3), np.int64)
        lines, used, unclear_count, outcome = parse_lines(
            data, layout.width, vectors, words, unclear
        )
        first = layout.first_line + len(rows.words)
        text = data.tobytes()
        _read_unclear(path, text, unclear[:unclear_count], vectors, first)
        found = [text[start:stop] for start, stop in words[:lines].tolist()]
        _check_spaces(path, found, layout.width, first)
        rows.words += found
        rows.vectors.append(vectors[:lines])
        if outcome == TOO_FEW:
            line = text[used:].partition(b"\n")[0]
            raise _too_few(path, line, layout.width, first + lines)
        data = data[used:] if outcome == TOO_MANY_UNCLEAR else data[:0]


def _read_unclear(
    path: Path, text: bytes, unclear: NDArray[np.int64], vectors: Float32Matrix, first: int
) -> None:
    """Read what the fast parser left: numbers near a rounding boundary, tiny, or none at all."""
    for place, start, stop in unclear.tolist():
        line, column = divmod(place, vectors.shape[1])
        number = text[start:stop]
        with np.errstate(over="ignore"):
            value = np.float32(number) if _NUMBER.fullmatch(number) else None
        if value is None or not np.isfinite(value):
            what = "is no number" if value is None else "is no finite float32"
            if _NOT_FINITE.fullmatch(number):
                what = "is not finite"
            raise wrong_file(
                path,
                f"line {first + line}",
                f"number {column + 1} {what}: {quoted(str(number)[2:-1])}",
            )
        vectors[line, column] = value


def _check_spaces(path: Path, words: list[bytes], width: int, first: int) -> None:
    for number, word in enumerate(words, start=first):
        if b" " in word or b"\t" in word:
            extra = 0
            fields = word.split()
            while extra < len(fields) - 1 and _is_number(fields[-1 - extra]):
                extra += 1
            if extra:
                raise wrong_file(
                    path, f"line {number}", f"has {width + extra} numbers where {width} are due"
                )


def _too_few(path: Path, line: bytes, width: int, number: int) -> InvalidInputError:
    if not line.strip():
        return wrong_file(path, f"line {number}", "is blank; it should be a word and its numbers")
    found = max(0, len(line.split()) - 1)
    return wrong_file(path, f"line {number}", f"has {found} numbers where {width} are due")


def _check_count(path: Path, layout: TextLayout, found: int) -> None:
    promised = layout.header_words
    if promised is not None and found != promised:
        problem = "it is cut short" if found < promised else "the header is wrong"
        raise wrong_file(
            path, "line 1", f"promises {promised:,} words, but the file has {found:,}: {problem}"
        )
    if not found:
        raise wrong_file(path, "", "is empty; give a file of word vectors")
