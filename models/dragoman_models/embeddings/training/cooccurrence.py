"""The co-occurrence matrix of a text, counted out of core and left shuffled on disk.

X[i, j] is the sum of 1 / d over all places where word j stands d words before or after word i,
within the window and on the same line (Pennington et al. 2014, section 4.2). X is symmetric:
entries with i <= j are kept. A word that stands beside itself counts once for each direction. A
file of entries is an int32 array (3, n): i, j, and X as the bits of float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.encoded_text import Ids
from dragoman_models.embeddings.training.pair_counts import (
    PairCounter,
    PairWindow,
    merge_runs,
    pair_of,
)
from dragoman_models.errors import TrainingError

_PART_WORDS = 1 << 20
_ENTRY_BYTES = 12
_RUN_ENTRY_BYTES = 16


def count_cooccurrences(
    ids: Ids,
    folder: Path,
    *,
    window: int,
    megabytes: float,
    threads: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Counts the pairs of the text into sorted runs in `folder`; `progress` is told of words."""
    pairs = PairWindow(width=window, weighted=True, ordered=False)
    # Half of the memory is for tables, half for sorting one of them.
    share = megabytes / 2 / threads
    counters = [PairCounter(pairs, folder, f"pairs-{t}", megabytes=share) for t in range(threads)]
    reporting = threading.Lock()

    def count(number: int) -> None:
        for start in range(number * _PART_WORDS, len(ids), threads * _PART_WORDS):
            stop = min(start + _PART_WORDS, len(ids))
            counters[number].add(ids, start, stop)
            with reporting:
                progress(stop - start)
        counters[number].spill()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(threads)))
    return [run for counter in counters for run in counter.runs]


def shuffle_entries(
    runs: Sequence[Path], folder: Path, *, megabytes: float, seed: int
) -> list[Path]:
    """Merges the runs, which are deleted, into files of entries in random order.

    Each entry goes to a file by chance, and each file, which fits into memory, is shuffled. Raises
    `TrainingError` where the text has no pairs, or the disk is full.
    """
    most = sum(run.stat().st_size for run in runs) // _RUN_ENTRY_BYTES
    if most == 0:
        raise TrainingError(
            "corpus: no two words of the vocabulary stand on one line; give text with longer lines"
        )
    files = max(1, -(-most * _ENTRY_BYTES * 4 // int(megabytes * 1e6)))
    random = np.random.default_rng(seed)
    unshuffled = [folder / f"unshuffled-{i}.bin" for i in range(files)]
    try:
        _deal(runs, unshuffled, random)
        return [_shuffle_file(path, folder, i, random) for i, path in enumerate(unshuffled)]
    except OSError as error:
        raise TrainingError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        for path in (*unshuffled, *runs):
            path.unlink(missing_ok=True)


def _deal(runs: Sequence[Path], paths: Sequence[Path], random: np.random.Generator) -> None:
    opened = [path.open("wb") for path in paths]
    try:
        for keys, sums in merge_runs(runs):
            first, second = pair_of(keys)
            sums = np.where(first == second, 2 * sums, sums)  # seen from both of the places
            counts = sums.astype(np.float32).view(np.int32)
            entries = random.permutation(np.stack([first, second, counts], axis=1))  # (n, 3)
            for file, part in zip(opened, np.array_split(entries, len(opened)), strict=True):
                file.write(part.tobytes())
    finally:
        for file in opened:
            file.close()


def _shuffle_file(path: Path, folder: Path, number: int, random: np.random.Generator) -> Path:
    entries = np.fromfile(path, dtype=np.int32).reshape(-1, 3)
    shuffled = folder / f"entries-{number}.npy"
    np.save(shuffled, np.ascontiguousarray(random.permutation(entries).T))
    path.unlink()
    return shuffled


def open_entries(path: Path) -> tuple[Ids, Ids, NDArray[np.float32]]:
    """i, j and X of a file of entries, each (n,), mapped into memory."""
    first, second, counts = np.load(path, mmap_mode="r")
    return first, second, counts.view(np.float32)
