"""Lines come as they were written, wherever reads and batches happen to cut."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_client.cli.reporting import CommandError
from dragoman_client.cli.text_input import opened, read_batches, read_lines

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")))


def read_through_a_pipe(*parts: bytes) -> list[str]:
    """The lines that are read while ``parts`` are written, one after the other."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for part in parts:
                pipe.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return [line.text for batch in read_batches(reading, "pipe") for line in batch]
    finally:
        os.close(reading)
        writer.join()


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), cut=st.integers(0, 1000))
def test_lines_are_those_that_were_written(lines: list[str], end: str, cut: int) -> None:
    data = "".join(line + end for line in lines).encode()
    assert read_through_a_pipe(data[:cut], data[cut:]) == lines


@given(lines=LINES)
def test_the_last_line_needs_no_end(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    assert read_through_a_pipe(data) == (lines[:-1] if lines[-1:] == [""] else lines)


def test_large_files_are_numbered_through(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"line {i}\n" for i in range(1, 30_001)))
    with opened(path) as (descriptor, name):
        read = [line for batch in read_batches(descriptor, name) for line in batch]
    assert [line.number for line in read] == list(range(1, 30_001))
    assert all(line.text == f"line {line.number}" for line in read)


def test_what_has_arrived_is_not_kept_waiting() -> None:
    reading, writing = os.pipe()
    try:
        batches = read_batches(reading, "pipe")
        for text in ("one", "two"):
            os.write(writing, f"{text}\nunfinished".encode())
            assert [line.text.removeprefix("unfinished") for line in next(batches)] == [text]
    finally:
        os.close(reading)
        os.close(writing)


def test_other_line_separators_of_unicode_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\x0bc\x85d\re\n\0\n".encode())
    assert read_lines(path) == ["a\u2028b\x0bc\x85d\re", "\0"]


def test_lines_before_a_bad_one_are_given_first(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"one\ntwo\ncaf\xe9\nfour\n")
    with opened(path) as (descriptor, name):
        batches = read_batches(descriptor, name)
        assert [line.text for line in next(batches)] == ["one", "two"]
        with pytest.raises(CommandError) as caught:
            next(batches)
    message = f"{path}, line 3: is not UTF-8 (byte 0xe9 at position 4); convert it, "
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"short\n" + b"x" * (1024 * 1024 + 1) + end)
    with pytest.raises(CommandError, match="line 2: is longer than 1 MiB"):
        read_lines(path)
    path.write_bytes(b"x" * 1024 * 1024 + end)
    assert len(read_lines(path)[0]) == 1024 * 1024


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*missing: No such file"):
        read_lines(tmp_path / "missing")
    with pytest.raises(CommandError, match=r"cannot read .*: Is a directory"):
        read_lines(tmp_path)
