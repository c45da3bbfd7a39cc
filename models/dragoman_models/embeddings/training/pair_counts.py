"""Weights of pairs of words within a window, summed over a text, in bounded memory.

A hash table collects the sums. When it is full, its pairs go to disk in the order of their keys, a
sorted run, and it starts afresh; in the end the runs are merged, equal keys added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import compiled, inlined
from dragoman_models.embeddings.training.simd import Integer, Pointer, pointer_to, prefetch
from dragoman_models.errors import TrainingError

Keys: TypeAlias = NDArray[np.uint64]
Sums: TypeAlias = NDArray[np.float64]

SENTENCE_END = -1
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_S32 = np.uint64(32)
_HASH = np.uint64(0x9E3779B97F4A7C15)
_LOAD = 0.7  # of the table, when it goes to disk
_PENDING = 32  # pairs whose place in the table is being fetched from memory
_MERGED_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PairWindow:
    """Which pairs count: a word with each of the `width` words before it on the same line.

    The pair at distance d weighs 1 / d where `weighted`, else 1. Unless it is `ordered`, the pair
    (a, b) is the same as (b, a).
    """

    width: int
    weighted: bool
    ordered: bool


def pair_of(keys: Keys) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The two words of each key: the earlier one first where ordered, else the smaller one."""
    return (keys >> _S32).astype(np.int32), (keys & np.uint64(0xFFFFFFFF)).astype(np.int32)


class PairCounter:
    """Counts the pairs of parts of a text, in `megabytes` of memory."""

    def __init__(self, window: PairWindow, folder: Path, name: str, *, megabytes: float) -> None:
        """Runs are written to `folder`, as files that begin with `name`."""
        least = 16 * (window.width + _PENDING)  # else not one word's pairs might fit
        slots = 1 << max(least.bit_length(), int(megabytes * 1e6 / 16).bit_length() - 1)
        # Slot s is keys[2 s], sums[2 s + 1] of the same memory: one cache line fetches both.
        self._keys = np.full(2 * slots, _EMPTY, dtype=np.uint64)
        self._sums = self._keys.view(np.float64)
        self._window = window
        self._folder = folder
        self._name = name
        self.runs: list[Path] = []

    def add(self, ids: NDArray[np.int32], begin: int, end: int) -> None:
        """Counts the pairs whose later word is in ids[begin:end]."""
        window = self._window
        limit = int(_LOAD * len(self._keys) / 2)
        while begin < end:
            used = int((self._keys[::2] != _EMPTY).sum())
            begin = _count_pairs(
                ids, begin, end, window.width, window.weighted, window.ordered,
                self._keys, self._sums, limit - used,
            )  # fmt: skip
            if begin < end:
                self.spill()

    def spill(self) -> None:
        """Writes the table to disk as a sorted run; raises `TrainingError`."""
        used = np.flatnonzero(self._keys[::2] != _EMPTY)
        keys = self._keys[::2][used]
        order = np.argsort(keys)
        path = self._folder / f"{self._name}-{len(self.runs)}.run"
        run = np.empty((len(keys), 2), dtype=np.uint64)
        run[:, 0] = keys[order]
        run[:, 1] = self._sums[1::2][used][order].view(np.uint64)
        try:
            run.tofile(path)
        except OSError as error:
            raise TrainingError(f"cannot write {path}: {error.strerror or error}") from error
        self.runs.append(path)
        self._keys[:] = _EMPTY


def merge_runs(runs: Sequence[Path], *, block: int = _MERGED_BLOCK) -> Iterator[tuple[Keys, Sums]]:
    """The pairs of all runs in the order of their keys, each key once, in blocks (n,), (n,)."""
    opened = [
        np.memmap(path, dtype=np.uint64, mode="r").reshape(-1, 2)
        for path in runs
        if path.stat().st_size
    ]
    at = [0] * len(opened)
    share = max(1, block // max(1, len(opened)))
    while any(start < len(run) for start, run in zip(at, opened, strict=True)):
        parts = [run[start : start + share] for start, run in zip(at, opened, strict=True)]
        # A key up to here cannot come again from any run: what is left of each is larger.
        unread = [
            part[-1, 0]
            for start, part, run in zip(at, parts, opened, strict=True)
            if start + share < len(run)
        ]
        sure = min(unread, default=_EMPTY)
        parts = [part[: np.searchsorted(part[:, 0], sure, side="right")] for part in parts]
        at = [start + len(part) for start, part in zip(at, parts, strict=True)]
        yield _sum_equal(np.concatenate(parts))


def _sum_equal(pairs: NDArray[np.uint64]) -> tuple[Keys, Sums]:
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    keys, sums = pairs[:, 0], np.ascontiguousarray(pairs[:, 1]).view(np.float64)
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(sums, first)


@compiled
def _count_pairs(
    ids: NDArray[np.int32], begin: int, end: int, width: int, weighted: bool, ordered: bool,
    keys: Keys, sums: Sums, free: int,
) -> int:  # fmt: skip
    """Adds pairs to the table while there are `free` slots; returns where it stopped."""
    slots, values = pointer_to(keys), pointer_to(sums)
    mask = len(keys) // 2 - 1
    pending_keys = np.full(_PENDING, _EMPTY, dtype=np.uint64)
    pending_weights = np.zeros(_PENDING)
    cursor = 0
    at = begin
    while at < end and free >= width + _PENDING:
        word = ids[at]
        at += 1
        if word < 0:
            continue
        for distance in range(1, min(width, at - 1) + 1):
            other = ids[at - 1 - distance]
            if other == SENTENCE_END:
                break
            if other < 0:
                continue
            # The pair put down _PENDING pairs ago has arrived from memory by now.
            free -= _add(slots, values, mask, pending_keys[cursor], pending_weights[cursor])
            first, second = other, word
            if not ordered and other > word:
                first, second = word, other
            key = (np.uint64(first) << _S32) | np.uint64(second)
            pending_keys[cursor] = key
            pending_weights[cursor] = 1.0 / distance if weighted else 1.0
            prefetch(slots, 2 * _slot(key, mask))
            cursor = (cursor + 1) % _PENDING
    for i in range(_PENDING):
        _add(slots, values, mask, pending_keys[i], pending_weights[i])
    return at


@inlined
def _slot(key: Integer, mask: int) -> Integer:
    mixed = key * _HASH
    return np.int64((mixed ^ (mixed >> _S32)) & np.uint64(mask))


@inlined
def _add(slots: Pointer, values: Pointer, mask: int, key: Integer, weight: float) -> int:
    """Adds to a pair's sum; 1 where the pair is new, else 0."""
    if key == _EMPTY:
        return 0
    slot = _slot(key, mask)
    while slots[2 * slot] != key:
        if slots[2 * slot] == _EMPTY:
            slots[2 * slot] = key
            values[2 * slot + 1] = weight
            return 1
        slot = (slot + 1) & mask
    values[2 * slot + 1] += weight
    return 0
