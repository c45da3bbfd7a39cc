"""Plain text as one long sequence of tokens, cut into columns and segments for training."""

from __future__ import annotations

import gzip
import random
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError
from dragoman_models.language_model.text_vocabulary import TextVocabulary

_LINES_AT_ONCE = 4096
_SHORTEST_SEGMENT = 5


@dataclass(frozen=True, kw_only=True)
class EncodedText:
    """A text as tokens.

    Attributes:
        tokens: (N + 1,) ids: eos, then each line's tokens with eos behind. All but the first are
            predicted.
        words: words between white space, and one for each line's end.
        characters: code points, and one for each line's end.
    """

    tokens: Tensor
    words: int
    characters: int


def read_lines(files: Iterable[Path]) -> Iterator[str]:
    """The lines of text files (UTF-8, plain or ``.gz``) without their line feeds.

    Only a line feed ends a line, and a carriage return before it goes with it.

    Raises:
        TrainingError: a file cannot be read, is no whole gzip or no UTF-8.
    """
    for path in files:
        opener = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
                for line in lines:
                    yield line.rstrip("\n").removesuffix("\r")
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise TrainingError(f"cannot read {path}: {error}") from error


def encode_corpus(lines: Iterable[str], vocabulary: TextVocabulary) -> EncodedText:
    """Raises `TrainingError` where the text has no lines."""
    ids = array("i", [vocabulary.eos])
    words = characters = 0
    remaining = iter(lines)
    while block := list(islice(remaining, _LINES_AT_ONCE)):
        for line, encoded in zip(block, vocabulary.encode_lines(block), strict=True):
            ids.extend(encoded)
            ids.append(vocabulary.eos)
            words += len(line.split()) + 1
            characters += len(line) + 1
    if len(ids) == 1:
        raise TrainingError("the text is empty")
    tokens = torch.frombuffer(ids, dtype=torch.int32).long()
    return EncodedText(tokens=tokens, words=words, characters=characters)


def columns_of(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Cuts a sequence (N + 1,) into ``count`` columns that are read side by side.

    Returns:
        inputs and targets (S, count), S = N // count; targets are the inputs one step later. Each
        column goes on where it stopped from one segment to the next. Up to count - 1 tokens at the
        end are left out.
    Raises:
        TrainingError: there are fewer tokens than columns.
    """
    steps = (len(tokens) - 1) // count
    if not steps:
        raise TrainingError(
            f"the text has {len(tokens) - 1:,} tokens, too few for batch_size {count:,}"
        )
    used = steps * count
    return (
        tokens[:used].view(count, steps).t().contiguous(),
        tokens[1 : used + 1].view(count, steps).t().contiguous(),
    )


def segment_bounds(steps: int, length: int, chance: random.Random | None) -> Sequence[int]:
    """Where the segments of S steps begin and end: 0, ..., S.

    Without ``chance`` each has ``length`` steps. With it, lengths are drawn from a normal
    distribution (deviation 5) around ``length``, once in twenty around its half (Merity et al.
    2018, section 5), so that it is not always the same tokens whose past is cut off.
    """
    bounds = [0]
    while bounds[-1] < steps:
        drawn = length
        if chance is not None:
            mean = length if chance.random() < 0.95 else length / 2
            drawn = min(max(_SHORTEST_SEGMENT, int(chance.gauss(mean, 5))), length + 20)
        bounds.append(min(bounds[-1] + drawn, steps))
    return bounds
