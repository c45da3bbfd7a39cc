"""Pairs are counted as by brute force, whether they fit into memory or not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dragoman_models.embeddings.training.cooccurrence import (
    count_cooccurrences,
    open_entries,
    shuffle_entries,
)
from dragoman_models.embeddings.training.pair_counts import (
    PairCounter,
    PairWindow,
    merge_runs,
    pair_of,
)
from dragoman_models.errors import TrainingError

WEIGHTED = PairWindow(width=4, weighted=True, ordered=False)
NEIGHBORS = PairWindow(width=1, weighted=False, ordered=True)


@pytest.fixture(scope="module")
def ids() -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    words = np.random.default_rng(4).integers(-2, 60, size=6_000)
    return words.astype(np.int32)


def brute_force(ids: list[int], window: PairWindow) -> Counter[tuple[int, int]]:
    counts: Counter[tuple[int, int]] = Counter()
    for place, word in enumerate(ids):
        for distance in range(1, min(window.width, place) + 1):
            other = ids[place - distance]
            if other == -1:
                break
            if word >= 0 and other >= 0:
                pair = (other, word)
                if not window.ordered:
                    pair = (min(pair), max(pair))
                counts[pair] += 1 / distance if window.weighted else 1  # type: ignore[assignment]
    return counts


@pytest.mark.parametrize("window", [WEIGHTED, NEIGHBORS], ids=["weighted", "neighbors"])
@pytest.mark.parametrize("megabytes", [0.001, 10.0])
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_counts_are_those_of_brute_force(
    tmp_path: Path,
    ids: np.ndarray[tuple[int], np.dtype[np.int32]],
    window: PairWindow,
    megabytes: float,
    block: int,
) -> None:
    counter = PairCounter(window, tmp_path, "pairs", megabytes=megabytes)
    for start in range(0, len(ids), 1_111):  # parts must not be seen in the result
        counter.add(ids, start, min(start + 1_111, len(ids)))
    counter.spill()
    assert (len(counter.runs) > 1) == (megabytes < 1)  # out of core, and not
    found: dict[tuple[int, int], float] = {}
    previous = -1
    for keys, sums in merge_runs(counter.runs, block=block):
        assert int(keys[0]) > previous
        previous = int(keys[-1])
        first, second = pair_of(keys)
        found |= zip(zip(first.tolist(), second.tolist(), strict=True), sums.tolist(), strict=True)
    expected = brute_force(ids.tolist(), window)
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(expected[pair]) for pair in expected)


@pytest.mark.parametrize(("megabytes", "threads"), [(0.01, 1), (0.01, 3), (10, 2)])
def test_entries_are_the_symmetric_matrix(tmp_path: Path, megabytes: float, threads: int) -> None:
    ids = np.random.default_rng(2).integers(-1, 40, size=3_000).astype(np.int32)
    runs = count_cooccurrences(ids, tmp_path, window=3, megabytes=megabytes, threads=threads)
    matrix = np.zeros((40, 40))
    for path in shuffle_entries(runs, tmp_path, megabytes=megabytes, seed=1):
        first, second, counts = open_entries(path)
        assert not (matrix[first, second]).any()  # every entry stands once
        matrix[first, second] = counts
        matrix[second, first] = counts
    expected = np.zeros((40, 40))
    words = ids.tolist()
    for place, word in enumerate(words):
        for step in (-1, 1):  # what stands before, and what stands after
            for distance in range(1, 4):
                at = place + step * distance
                if not 0 <= at < len(words) or word < 0 or words[at] < 0:
                    break
                expected[word, words[at]] += 1 / distance
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)
    assert not list(tmp_path.glob("*.run"))
    assert not list(tmp_path.glob("unshuffled*"))


def test_the_same_seed_gives_the_same_order(tmp_path: Path) -> None:
    ids = np.random.default_rng(2).integers(-1, 40, size=3_000).astype(np.int32)
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs = count_cooccurrences(ids, tmp_path / name, window=3, megabytes=0.02)
        paths = shuffle_entries(runs, tmp_path / name, megabytes=0.02, seed=9)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert len(contents[0]) > 1


def test_text_without_pairs_is_refused(tmp_path: Path) -> None:
    ids = np.array([1, -1, 2, -1], dtype=np.int32)
    runs = count_cooccurrences(ids, tmp_path, window=3, megabytes=1)
    with pytest.raises(TrainingError, match="corpus: no two words"):
        shuffle_entries(runs, tmp_path, megabytes=1, seed=1)
