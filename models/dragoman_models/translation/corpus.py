"""Parallel text: reading sentence pairs and gathering them into batches of equal cost."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import EOS, PAD


class SentencePair(NamedTuple):
    """A source sentence and its translation."""

    source: str
    target: str


class EncodedPair(NamedTuple):
    """Piece ids of a pair, each side ending with eos."""

    source: list[int]
    target: list[int]


class Batch(NamedTuple):
    """Padded ids (B, S) and (B, T), with the source lengths (B,) on the CPU."""

    source: Tensor
    source_lengths: Tensor
    target: Tensor


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a file (plain or ``.gz``, UTF-8), without their ends.

    Raises:
        TrainingError: the file is missing, is not UTF-8, or not whole gzip.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error


def read_pairs(
    path: Path | tuple[Path, Path], *, source_column: int, target_column: int
) -> list[SentencePair]:
    """Reads a tab-separated file, or two files whose lines go together, columns counted from 1.

    Files are plain or ``.gz``, UTF-8. Two files are columns 1 and 2; a tab in them is a blank.

    Raises:
        TrainingError: a file is missing, a line lacks a column or one side is blank (the line
            number is named), a file is not UTF-8 or not whole gzip, or one file is longer.
    """
    name = str(path) if isinstance(path, Path) else " and ".join(map(str, path))
    rows = _separated(path) if isinstance(path, Path) else _aligned(*path)
    pairs = []
    for number, columns in enumerate(rows, start=1):
        if len(columns) < max(source_column, target_column):
            raise TrainingError(
                f"{name}, line {number}: {len(columns)} tab-separated columns, "
                f"but column {max(source_column, target_column)} is wanted"
            )
        pair = SentencePair(columns[source_column - 1], columns[target_column - 1])
        if not pair.source or not pair.target:
            raise TrainingError(f"{name}, line {number}: one side is blank; remove it")
        pairs.append(pair)
    if not pairs:
        raise TrainingError(f"{name} holds no sentence pairs")
    return pairs


def _separated(path: Path) -> Iterator[list[str]]:
    for line in read_lines(path):
        yield [column.strip() for column in line.split("\t")]


def _aligned(first: Path, second: Path) -> Iterator[list[str]]:
    lines = zip_longest(read_lines(first), read_lines(second))
    for number, sides in enumerate(lines, start=1):
        if None in sides:
            short = (first, second)[sides.index(None)]
            raise TrainingError(f"{short} ends before line {number} of the file it goes with")
        yield [" ".join(str(side).split("\t")).strip() for side in sides]


def gather_batches(
    pairs: Sequence[EncodedPair], *, target_tokens: int, order: random.Random
) -> list[list[int]]:
    """Indices of pairs in batches of about ``target_tokens`` padded target tokens.

    Pairs of equal length stand together, so little is padding; which of them share a batch and
    the order of the batches are drawn anew by ``order``.
    """
    indices = list(range(len(pairs)))
    order.shuffle(indices)
    indices.sort(key=lambda i: (len(pairs[i].target), len(pairs[i].source)))
    batches: list[list[int]] = []
    current: list[int] = []
    for index in indices:  # ascending, so the newest pair is the longest
        if current and (len(current) + 1) * len(pairs[index].target) > target_tokens:
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    order.shuffle(batches)
    return batches


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Ids of several lengths -> (rows, longest), filled up with PAD."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


def collate(pairs: Sequence[EncodedPair]) -> Batch:
    """Pads the pairs of one batch."""
    sources = [pair.source for pair in pairs]
    lengths = torch.tensor([len(source) for source in sources])
    return Batch(pad(sources), lengths, pad([pair.target for pair in pairs]))


def with_eos(ids: list[int], *, longest: int) -> list[int]:
    """At most ``longest`` ids, closed with eos."""
    return [*ids[: longest - 1], EOS]
