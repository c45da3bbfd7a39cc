"""Which target pieces a source sentence may need: a lexical shortlist.

A search that looks at some hundred pieces instead of all does a fraction of the output layer's
work. Probabilities are then among those pieces: sums of the others' are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import safetensors
import safetensors.numpy

from dragoman_models.arrays import Integers
from dragoman_models.tokenizer import EOS

_SPECIAL = 4  # pad, unk, bos and eos, in every shortlist
_ITERATIONS = 4


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """Pieces by source piece, and those that any sentence may need.

    ``common`` (C,) token ids; the pieces of source piece i are ``tokens[starts[i]:starts[i + 1]]``.
    """

    common: Integers
    starts: Integers
    tokens: Integers

    def tokens_for(self, source: Sequence[int]) -> Integers:
        """Sorted ids, the special tokens first; the source's own pieces, to be copied, are among
        them."""
        starts = self.starts
        own = [self.tokens[starts[piece] : starts[piece + 1]] for piece in set(source)]
        return np.unique(np.concatenate([self.common, np.array(source, dtype=np.int64), *own]))

    def to_bytes(self) -> bytes:
        """The content of a bundle's file."""
        narrow = np.uint16 if len(self.starts) <= 1 << 16 else np.int32
        return safetensors.numpy.save({
            "common": self.common.astype(np.int32),
            "starts": self.starts.astype(np.int32),
            "tokens": self.tokens.astype(narrow),
        })  # fmt: skip


def read_shortlist(data: bytes, *, vocabulary_size: int) -> Shortlist:
    """What ``to_bytes`` wrote. Raises `ValueError` where it is none for such a vocabulary."""
    try:
        arrays = safetensors.numpy.load(data)
        parts = {name: arrays[name].astype(np.int64) for name in ("common", "starts", "tokens")}
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(f"the shortlist cannot be read: {error}") from error
    starts, named = parts["starts"], np.concatenate([parts["common"], parts["tokens"]])
    if any(part.ndim != 1 for part in parts.values()) or len(starts) != vocabulary_size + 1:
        raise ValueError(f"the shortlist must have a list for each of {vocabulary_size} pieces")
    if starts[0] != 0 or starts[-1] != len(parts["tokens"]) or (np.diff(starts) < 0).any():
        raise ValueError("the shortlist's lists must begin at 0 and follow one another")
    if named.size and not 0 <= named.min() <= named.max() < vocabulary_size:
        raise ValueError(f"the shortlist names pieces beyond {vocabulary_size}")
    if not np.isin(np.arange(_SPECIAL), parts["common"]).all():
        raise ValueError("the shortlist must hold pad, unk, bos and eos for every sentence")
    return Shortlist(**parts)


def learn_shortlist(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], *, vocabulary_size: int,
    common: int = 128, per_piece: int = 100,
) -> Shortlist:  # fmt: skip
    """Learns what source pieces become, from sentences side by side (piece ids without eos).

    The ``per_piece`` likeliest target pieces of each source piece under IBM's first model (Brown
    et al. 1993, section 4.1), and the ``common`` most frequent ones for all sentences.
    """
    kept = [(list(source), list(target)) for source, target in pairs if len(source) * len(target)]
    lists: list[Integers] = [np.empty(0, np.int64)] * vocabulary_size
    counts = np.zeros(vocabulary_size, np.int64)
    if kept:
        counts = np.bincount(
            np.concatenate([target for _, target in kept]), minlength=vocabulary_size
        )
        lists = _likeliest(kept, vocabulary_size, per_piece)
    frequent = np.argsort(-counts, kind="stable")[:common]
    return Shortlist(
        common=np.union1d(np.arange(_SPECIAL), frequent[counts[frequent] > 0]),
        starts=np.concatenate([[0], np.cumsum([len(one) for one in lists])]),
        tokens=np.concatenate(lists),
    )


def _likeliest(
    pairs: Sequence[tuple[list[int], list[int]]], vocabulary_size: int, per_piece: int
) -> list[Integers]:
    """By source piece, its likeliest target pieces; eos stands for what has no source."""
    rows = [[*source, EOS] for source, _ in pairs]
    links = np.concatenate([
        (np.array(source)[:, None] * vocabulary_size + np.array(target)).ravel(order="F")
        for source, (_, target) in zip(rows, pairs, strict=True)
    ])  # fmt: skip  # the links of one target position stand side by side
    widths = np.repeat([len(source) for source in rows], [len(target) for _, target in pairs])
    begins = np.concatenate([[0], np.cumsum(widths)[:-1]])
    distinct, link = np.unique(links, return_inverse=True)
    del links
    source, target = np.divmod(distinct, vocabulary_size)
    likely = np.ones(len(distinct))
    for _ in range(_ITERATIONS):
        weights = likely[link]
        weights /= np.repeat(np.add.reduceat(weights, begins), widths)
        expected = np.bincount(link, weights, len(distinct))
        likely = expected / np.bincount(source, expected, vocabulary_size)[source]
    order = np.lexsort((-likely, source))
    edges = np.searchsorted(source[order], np.arange(vocabulary_size + 1))
    return [
        target[order[begin : min(end, begin + per_piece)]]
        for begin, end in itertools.pairwise(edges)
    ]
