"""Text of any kind is read as words, or refused with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.training import text_stream
from dragoman_models.embeddings.training.text_stream import (
    Tokenization,
    corpus_files,
    read_tokens,
)
from dragoman_models.errors import TrainingError


def tokens_of(path: Path, tokenization: Tokenization = Tokenization.WHITE_SPACE) -> list[str]:
    return [token for block in read_tokens([path], tokenization) for token in block]


def test_words_are_lowercase_letters_digits_and_inner_apostrophes(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("“Don't!” said Élise\u2019s 2 dogs\u2019 owner—twice.\n", encoding="utf-8")
    expected = ["don't", "said", "élise\u2019s", "2", "dogs", "owner", "twice", "\n", "\n"]
    assert tokens_of(path, Tokenization.WORDS) == expected


def test_other_scripts_and_signs_are_kept_between_white_space(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("שלום עולם 🙂 naïve\r\n\r\nB\tc", encoding="utf-8")
    expected = ["שלום", "עולם", "🙂", "naïve", "\n", "\n", "B", "c", "\n"]
    assert tokens_of(path) == expected


@given(text=st.text(alphabet="aé🙂 \n\t\r", max_size=200), block=st.integers(8, 40))
def test_blocks_do_not_show(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_bytes(text.encode())
    longest = max(map(len, text.encode().split()), default=0)
    if longest >= block:
        return  # a word longer than a block is refused
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_stream, "_BLOCK_BYTES", block)
        found = tokens_of(path)
    lines = [line.split() for line in text.split("\n")]
    assert found == [token for line in lines for token in (*line, "\n")]


def test_compressed_text_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress("\ufeffone two\n".encode()))
    assert tokens_of(path) == ["one", "two", "\n", "\n"]


def test_progress_adds_up_to_the_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"word " * 10_000))
    read: list[int] = []
    for _ in read_tokens([path], Tokenization.WHITE_SPACE, read.append):
        pass
    assert sum(read) == path.stat().st_size


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\nbad \xff here\n", "line 2 is not UTF-8; convert"),
        (b"good\ngood\n" + "wide".encode("utf-16-le"), "line 3 holds a NUL character"),
        (b"x" * (1 << 20), "line 1: no space in 1,048,576 bytes"),
    ],
    ids=["latin-1", "utf-16", "one word"],
)
def test_what_is_not_text_is_refused_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        tokens_of(path)


def test_a_compressed_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"some words " * 1000)[:-20])
    with pytest.raises(TrainingError, match=r"cannot read .*text\.gz"):
        tokens_of(path)


def test_a_folder_stands_for_its_texts(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt.gz", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    found = corpus_files([tmp_path])
    assert [path.name for path in found] == ["a.txt.gz", "b.txt"]


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"corpus: there is no file .*nowhere"):
        corpus_files([tmp_path / "nowhere"])
    with pytest.raises(TrainingError, match=r"corpus: the folder .* has no \*\.txt"):
        corpus_files([tmp_path])
