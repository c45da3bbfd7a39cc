"""Text vectors: numbers as Python reads them, words as they stand, and errors by their line."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.formats import text_reader
from dragoman_models.embeddings.formats.imported import (
    DuplicateWords,
    ImportedVectors,
    InvalidUtf8,
    ReadOptions,
)
from dragoman_models.embeddings.formats.vector_file import VectorFormat, detect_format, read_vectors
from dragoman_models.errors import InvalidInputError

# Every way in which a finite decimal may be written, with more digits than a double holds.
decimals = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e30, 1e30).map("{:.25e}".format),
    st.floats(-1e3, 1e3).map("{:.18f}".format),
    st.from_regex(r"[+-]?(0|[1-9][0-9]{0,24})\.[0-9]{0,24}([eE][+-]?[0-2]?[0-9])?", fullmatch=True),
    st.from_regex(r"[+-]?\.[0-9]{1,24}", fullmatch=True),
    st.integers(-(10**30), 10**30).map(str),
    # Halfway between two float32, and a little to either side.
    st.integers(1 << 23, (1 << 24) - 1).map(lambda n: f"{n}.5"),
    st.integers(1 << 23, (1 << 24) - 1).map(lambda n: f"{n}.50000000000000000001"),
    st.integers(1 << 23, (1 << 24) - 1).map(lambda n: f"{n}.49999999999999999999"),
)


def read(folder: Path, data: str | bytes, options: ReadOptions | None = None) -> ImportedVectors:
    path = folder / "vectors.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_vectors(path, options)


@given(st.lists(decimals, min_size=1, max_size=30))
def test_a_number_is_the_float32_that_python_reads(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.txt"
    path.write_text("".join(f"w{i} 1 {number}\n" for i, number in enumerate(numbers)))
    with np.errstate(over="ignore"):
        expected = np.array([np.float32(float(number)) for number in numbers])
    if np.isfinite(expected).all():
        found = read_vectors(path).matrix[:, 1]
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_blocks_header_and_gzip_change_nothing(tmp_path: Path, block: int, packed: bool) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((50, 4)).astype(np.float32)
    words = [f"w{i}é日𝔘"[: 2 + i % 5] + str(i) for i in range(50)]
    body = "".join(
        f"{word} {' '.join(map(repr, row.tolist()))}\n"
        for word, row in zip(words, matrix, strict=True)
    )
    for text in (body, f"50 4\n{body}", body.replace("\n", " \r\n"), body.replace(" ", "\t")):
        data = text.encode()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_reader, "_BLOCK_BYTES", block)
            patch.setattr(text_reader, "_UNCLEAR_AT_ONCE", 4)
            found = read(tmp_path, gzip.compress(data) if packed else data)
        assert found.words == tuple(words)
        np.testing.assert_array_equal(found.matrix, matrix)


def test_words_may_hold_spaces_and_be_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, "1.5 1 2\n. . . 3 4\nat me@x.org 5 6\n7 7 8\nx  9\t9\n")
    assert found.words == ("1.5", ". . .", "at me@x.org", "7", "x")
    assert found.matrix[:, 0].tolist() == [1, 3, 5, 7, 9]


def test_a_header_is_told_from_a_word_with_one_number(tmp_path: Path) -> None:
    assert read(tmp_path, "12 34\n56 78\n").words == ("12", "56")
    assert read(tmp_path, "1 1\n56 78\n").words == ("56",)
    assert read(tmp_path, "1 2\na 1 2\n").words == ("a",)


def test_the_first_words_only(tmp_path: Path) -> None:
    found = read(tmp_path, "3 1\na 1\nb 2\nc 3\n", ReadOptions(words=2))
    assert (found.words, found.matrix.tolist()) == (("a", "b"), [[1], [2]])


def test_the_first_of_equal_words_is_kept_and_the_others_reported(tmp_path: Path) -> None:
    text = "5 1\na 1\nb 2\na 3\nc 4\nb 5\n"
    found = read(tmp_path, text)
    assert (found.words, found.matrix[:, 0].tolist()) == (("a", "b", "c"), [1, 2, 4])
    assert [(word.word, word.line) for word in found.dropped] == [("a", 4), ("b", 6)]
    with pytest.raises(InvalidInputError, match="line 4: repeats the word 'a' of line 2"):
        read(tmp_path, text, ReadOptions(duplicates=DuplicateWords.REFUSE))


def test_words_that_are_not_utf8_can_be_replaced(tmp_path: Path) -> None:
    data = b"caf\xe9 1\nb 2\n"
    with pytest.raises(InvalidInputError, match=r"line 1: the word .* is not UTF-8"):
        read(tmp_path, data)
    found = read(tmp_path, data, ReadOptions(invalid_utf8=InvalidUtf8.REPLACE))
    assert found.words == ("caf�", "b")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "line 1: is empty"),
        ("\n", "line 1: has no word and numbers"),
        ("word\n", "line 1: has no numbers after a word"),
        ("a 1 2", "line 1: has no end"),
        ("a 1 2\nb 1 2", "line 2: the last line has no end, so the file is cut short"),
        ("9 2\na 1 2\nb 1 2", "line 3: the last line has no end, so the file is cut short"),
        ("a 1 2\nb 1\nc 1 2\n", "line 2: has 1 numbers where 2 are due"),
        ("a 1 2\nb 1 2 3\n", "line 2: has 3 numbers where 2 are due"),
        ("a 1 2\nb\n", "line 2: has 0 numbers where 2 are due"),
        ("a 1 2\n\nc 1 2\n", "line 2: is blank"),
        ("a 1 2\nb 1 x\n", "line 2: number 2 is no number: 'x'"),
        ("a 1 2\nb 1 1_0\n", "line 2: number 2 is no number: '1_0'"),
        ("a 1 2\nb 1 1e\n", "line 2: number 2 is no number: '1e'"),
        ("a 1 2\nb 1 0x1\n", "line 2: number 2 is no number"),
        ("a 1 2\nb - 1\n", "line 2: number 1 is no number"),
        ("a 1 2\nb 1 nan\n", "line 2: number 2 is not finite: 'nan'"),
        ("a 1 2\nb -inf 1\n", "line 2: number 1 is not finite"),
        ("a 1 2\nb 1e39 1\n", "line 2: number 1 is no finite float32"),
        ("a 1 2\n 1 2\n", "line 2: has no word before its numbers"),
        ("3 2\na 1 2\nb 1 2\n", "promises 3 words, but the file has 2: it is cut short"),
        ("1 2\na 1 2\nb 1 2\n", "promises 1 words, but the file has 2: the header is wrong"),
        ("0 2\na 1 2\n", "line 1: promises 0 words"),
        ("2 3\na 1 2\nb 1 2\n", "line 2: has 2 numbers where 3 are due"),
        (b"\x1f\x8b\x08\x00cut", "its gzip is cut short or damaged"),
        (gzip.compress(b"a 1 2\nb 1 2\n" * 99)[:-9], "its gzip is cut short or damaged"),
    ],
)
def test_a_wrong_file_is_named_by_its_line(tmp_path: Path, data: str | bytes, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, data)
    assert message in str(caught.value)


@pytest.mark.parametrize("header", ["", "400000 1\n"])
def test_a_long_packed_file_is_cut_short_after_some_line(tmp_path: Path, header: str) -> None:
    lines = header + "".join(f"word{i} {i}\n" for i in range(400_000))
    assert len(lines) > 5 << 20  # more than is read at first
    data = gzip.compress(lines.encode(), compresslevel=1)
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, data[: len(data) // 10 * 9])
    found = re.search(r"after line ([\d,]+): its gzip is cut short", str(caught.value))
    assert found is not None
    assert 200_000 < int(found[1].replace(",", "")) < 400_000


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        read_vectors(tmp_path / "none.txt")


def test_text_is_told_from_binary(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"2 2\n\xc3\xa9 1 2\nb 3 4\n")
    assert detect_format(path) is VectorFormat.TEXT
    path.write_bytes(b"1 2\na " + np.array([1e-3, 2], "<f4").tobytes())
    assert detect_format(path) is VectorFormat.WORD2VEC_BINARY
