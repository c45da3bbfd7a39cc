"""Parallel text: reading sentence pairs and gathering them into batches of equal cost."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Sequence
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


def read_pairs(path: Path, *, source_column: int, target_column: int) -> list[SentencePair]:
    """Reads a tab-separated file (plain or ``.gz``, UTF-8), columns counted from 1.

    Raises:
        TrainingError: the file is missing, a line lacks a column or one side is blank (the line
            number is named), or the file is not UTF-8, or not whole gzip.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    pairs = []
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                columns = [column.strip() for column in line.rstrip("\r\n").split("\t")]
                if len(columns) < max(source_column, target_column):
                    raise TrainingError(
                        f"{path}, line {number}: {len(columns)} tab-separated columns, "
                        f"but column {max(source_column, target_column)} is wanted"
                    )
                pair = SentencePair(columns[source_column - 1], columns[target_column - 1])
                if not pair.source or not pair.target:
                    raise TrainingError(f"{path}, line {number}: one side is blank; remove it")
                pairs.append(pair)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    if not pairs:
        raise TrainingError(f"{path} holds no sentence pairs")
    return pairs


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
