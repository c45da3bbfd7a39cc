"""Sentence pairs: every bad line is named, and every pair is in exactly one batch."""

import gzip
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import EOS, PAD
from dragoman_models.translation.corpus import (
    EncodedPair,
    SentencePair,
    collate,
    gather_batches,
    pad,
    read_pairs,
    with_eos,
)

GOOD = "Hello.\tBonjour.\tCC-BY\nÉtat 🙂\tשלום\tCC-BY\n".encode()  # noqa: RUF001
# Bytes that hardly compress, so that cutting or damaging them reaches the text.
LONG = "".join(f"{random.Random(i).getrandbits(64)}\tb\n" for i in range(999)).encode()
PACKED = gzip.compress(LONG)


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_reads_plain_and_packed_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOOD) if name.endswith(".gz") else GOOD)
    pairs = read_pairs(path, source_column=2, target_column=1)
    assert pairs == [SentencePair("Bonjour.", "Hello."), SentencePair("שלום", "État 🙂")]


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    """Not the separators of Unicode, nor a carriage return within the line."""
    path = tmp_path / "pairs.tsv"
    path.write_bytes("a\u2028b\u0085c\td\re\r\nf\tg".encode())
    pairs = read_pairs(path, source_column=1, target_column=2)
    assert pairs == [SentencePair("a\u2028b\u0085c", "d\re"), SentencePair("f", "g")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.tsv", None, "cannot read .*No such file"),
        ("a.tsv", b"", "holds no sentence pairs"),
        ("a.tsv", b"a\tb\nonly one\n", "line 2: 1 tab-separated columns, but column 2 is wanted"),
        ("a.tsv", b"a\tb\n\n", "line 2: 1 tab-separated columns"),
        ("a.tsv", b"a\tb\nc\t \n", "line 2: one side is blank; remove it"),
        ("a.tsv", "a\tb\n\u00a0\tb\n".encode(), "line 2: one side is blank; remove it"),
        ("a.tsv", "café\tcoffee\n".encode("latin-1"), "cannot read .*utf-8"),
        ("a.tsv.gz", GOOD, "cannot read .*[Nn]ot a gzipped file"),
        ("a.tsv.gz", PACKED[:-20], "cannot read .*end-of-stream"),
        ("a.tsv.gz", PACKED[:10] + b"\xff" * 9 + PACKED[19:], "cannot read .*Error -3"),
        ("a.tsv.gz", PACKED[:-8] + bytes(8), "cannot read .*CRC"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=reason) as raised:
        read_pairs(path, source_column=1, target_column=2)
    assert str(path) in str(raised.value)


lengths = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=40)


@given(lengths, st.integers(1, 60), st.integers())
def test_every_pair_is_in_one_batch_of_the_size(
    sizes: list[tuple[int, int]], target_tokens: int, seed: int
) -> None:
    pairs = [EncodedPair([9] * source, [9] * target) for source, target in sizes]
    batches = gather_batches(pairs, target_tokens=target_tokens, order=random.Random(seed))
    assert sorted(index for batch in batches for index in batch) == list(range(len(pairs)))
    for batch in batches:
        padded = len(batch) * max(len(pairs[index].target) for index in batch)
        assert padded <= target_tokens or len(batch) == 1
    again = gather_batches(pairs, target_tokens=target_tokens, order=random.Random(seed))
    assert again == batches


def test_batches_differ_from_pass_to_pass() -> None:
    pairs = [EncodedPair([9], [9]) for _ in range(20)]
    one, other = (
        gather_batches(pairs, target_tokens=5, order=random.Random(seed)) for seed in (1, 2)
    )
    assert {frozenset(batch) for batch in one} != {frozenset(batch) for batch in other}


@given(st.lists(st.lists(st.integers(4, 99), max_size=6), min_size=1, max_size=5))
def test_padding_keeps_every_row(rows: list[list[int]]) -> None:
    padded = pad([[*row, EOS] for row in rows])
    assert padded.shape == (len(rows), max(map(len, rows)) + 1)
    for row, filled in zip(rows, padded.tolist(), strict=True):
        assert filled == [*row, EOS] + [PAD] * (padded.size(1) - len(row) - 1)


def test_collate_keeps_lengths() -> None:
    batch = collate([EncodedPair([5, EOS], [6, 7, EOS]), EncodedPair([5, 6, 7, EOS], [EOS])])
    assert batch.source.tolist() == [[5, EOS, PAD, PAD], [5, 6, 7, EOS]]
    assert batch.source_lengths.tolist() == [2, 4]
    assert batch.target.tolist() == [[6, 7, EOS], [EOS, PAD, PAD]]
    assert batch.source.dtype is batch.target.dtype is torch.long


@given(st.lists(st.integers(4, 99), max_size=9), st.integers(2, 9))
def test_eos_closes_what_is_cut(ids: list[int], longest: int) -> None:
    closed = with_eos(ids, longest=longest)
    assert closed == [*ids[: len(closed) - 1], EOS]
    assert len(closed) == min(len(ids) + 1, longest)
