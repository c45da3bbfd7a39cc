"""Lines of UTF-8 text from files and pipes, as they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dragoman_client.cli.reporting import CommandError
from dragoman_client.lines import Line, gather

_STANDARD_INPUT = 0
_CHUNK_BYTES = 64 * 1024
_LONGEST_LINE_BYTES = 1024 * 1024


@contextmanager
def opened(path: Path | None) -> Iterator[tuple[int, str]]:
    """The descriptor and the name of a file; None and ``-`` mean standard input."""
    if path is None or str(path) == "-":
        yield _STANDARD_INPUT, "standard input"
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    try:
        yield descriptor, str(path)
    finally:
        os.close(descriptor)


def read_batches(descriptor: int, name: str) -> Iterator[list[Line]]:
    """Batches of lines in constant memory; what has arrived is not kept waiting for more.

    Raises:
        CommandError: a line is not UTF-8 or longer than 1 MiB (the lines before it come first), or
            the file cannot be read.
    """
    number = 0
    rest = b""
    while chunk := _read(descriptor, name):
        *ended, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            ended.append(rest)  # which reports it
        yield from _decoded_batches(ended, number, name)
        number += len(ended)
    if rest:
        yield from _decoded_batches([rest], number, name)


def read_lines(path: Path) -> list[str]:
    """All lines of a file.

    Raises:
        CommandError: as for ``read_batches``.
    """
    with opened(path) as (descriptor, name):
        return [line.text for batch in read_batches(descriptor, name) for line in batch]


def _read(descriptor: int, name: str) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from error


def _decoded_batches(ended: list[bytes], before: int, name: str) -> Iterator[list[Line]]:
    lines: list[Line] = []
    problem: CommandError | None = None
    for number, data in enumerate(ended, start=before + 1):
        try:
            lines.append(Line(number=number, text=_decoded(data, number, name)))
        except CommandError as error:
            problem = error
            break
    yield from gather(lines)
    if problem is not None:
        raise problem


def _decoded(data: bytes, number: int, name: str) -> str:
    if len(data) > _LONGEST_LINE_BYTES:
        raise CommandError(f"{name}, line {number}: is longer than 1 MiB; divide it")
    try:
        return data.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{name}, line {number}: is not UTF-8 (byte 0x{data[error.start]:02x} at position "
            f"{error.start + 1}); convert it, for example with iconv"
        ) from error
