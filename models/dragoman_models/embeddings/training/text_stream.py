"""Plain text of any size as a stream of tokens: a few megabytes of it in memory at a time."""

from __future__ import annotations

import enum
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from dragoman_models.errors import TrainingError, quoted

LINE_END = "\n"
_BLOCK_BYTES = 1 << 20
_WHITE_SPACE = re.compile(rb"[\t\n\v\f\r ]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Progress = Callable[[int], None]  # called with the number of bytes read from disk since last time


class Tokenization(enum.StrEnum):
    """What a word is."""

    WORDS = "words"  # letters, digits and inner apostrophes, in lowercase: for raw text
    WHITE_SPACE = "white-space"  # whatever stands between white space: for tokenized text


_WORD_OR_LINE_END = re.compile("\\w+(?:['\u2019]\\w+)*|\n")


def corpus_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files of a corpus: each file given, and in each folder its *.txt and *.txt.gz, by name.

    Raises `TrainingError` where there is no such file or the folder has none.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted([*path.glob("*.txt"), *path.glob("*.txt.gz")])
            if not found:
                raise TrainingError(f"corpus: the folder {path} has no *.txt or *.txt.gz")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise TrainingError(f"corpus: there is no file {path}")
    if not files:
        raise TrainingError("corpus: no file is given; give at least one text file or folder")
    return tuple(files)


def read_tokens(
    files: Sequence[Path], tokenization: Tokenization, progress: Progress = lambda _: None
) -> Iterator[list[str]]:
    """The tokens in blocks of about a megabyte of text; `LINE_END` is the token of a line's end.

    Raises `TrainingError` with file and line where the text is not UTF-8 or the file is damaged.
    """
    for path in files:
        for text in _read_blocks(path, progress):
            if tokenization is Tokenization.WORDS:
                yield _WORD_OR_LINE_END.findall(text.lower())
            else:
                yield _split(text)
        yield [LINE_END]


def _split(text: str) -> list[str]:
    tokens: list[str] = []
    for line in text.split(LINE_END):
        tokens += line.split()
        tokens.append(LINE_END)
    tokens.pop()  # the last piece has no end of its own
    return tokens


def _read_blocks(path: Path, progress: Progress) -> Iterator[str]:
    """Decoded blocks that end at white space."""
    line = 1
    rest = b""
    try:
        with path.open("rb") as raw:
            zipped = path.suffix == ".gz"
            source = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if zipped else raw)
            before = 0
            while block := source.read(_BLOCK_BYTES):
                progress(raw.tell() - before)
                before = raw.tell()
                whole, rest = _cut(path, line, rest + block)
                yield _decode(path, line, whole)
                line += whole.count(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"corpus: cannot read {path}: {error}") from error
    if rest:
        yield _decode(path, line, rest)


def _cut(path: Path, line: int, data: bytes) -> tuple[bytes, bytes]:
    """`data` before and after its last white space."""
    end = max(data.rfind(space) for space in (b"\n", b" "))
    if end < 0:
        found = [match.start() for match in _WHITE_SPACE.finditer(data)]
        end = found[-1] if found else -1
    if end < 0 and len(data) >= _BLOCK_BYTES:
        raise TrainingError(
            f"corpus: {path}, line {line}: no space in {len(data):,} bytes; give plain text with "
            "spaces between words"
        )
    return data[: end + 1], data[end + 1 :]


def _decode(path: Path, line: int, data: bytes) -> str:
    if line == 1:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        raise TrainingError(
            f"corpus: {path}, line {at} is not UTF-8; convert the file, for example with "
            "iconv -f latin1 -t utf-8"
        ) from error
    if "\0" in text:
        at = line + text.count("\n", 0, text.index("\0"))
        word = quoted(text[max(0, text.index("\0") - 20) :][:40])
        raise TrainingError(
            f"corpus: {path}, line {at} holds a NUL character ({word}); give plain UTF-8 text "
            "(UTF-16 must be converted)"
        )
    return text
