"""The tree of hierarchical softmax is a full binary tree of the least possible expected depth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.training.huffman import HuffmanPaths, huffman_paths

counts_of_words = st.lists(st.integers(1, 50), min_size=2, max_size=6)


def depths(paths: HuffmanPaths) -> list[int]:
    lengths: list[int] = np.diff(paths.starts).tolist()
    return lengths


def least_cost(counts: tuple[int, ...]) -> int:
    """The least sum of count x depth over all full binary trees, by trying them all."""
    if len(counts) == 1:
        return 0
    first, *rest = counts  # the first word is on the left, without loss of generality
    best = None
    for size in range(len(rest)):
        for chosen in combinations(range(len(rest)), size):
            left = (first, *(rest[i] for i in chosen))
            right = tuple(rest[i] for i in range(len(rest)) if i not in chosen)
            cost = sum(counts) + least_cost(left) + least_cost(right)
            best = cost if best is None else min(best, cost)
    assert best is not None
    return best


@given(counts_of_words)
def test_expected_depth_is_least(counts: list[int]) -> None:
    found = depths(huffman_paths(np.array(counts)))
    cost = sum(n * depth for n, depth in zip(counts, found, strict=True))
    assert cost == least_cost(tuple(counts))


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=60))
def test_paths_are_those_of_a_full_tree(counts: list[int]) -> None:
    paths = huffman_paths(np.array(counts))
    assert sum(2.0**-depth for depth in depths(paths)) == 1  # Kraft's equality
    ways: dict[tuple[float, ...], int] = {}
    for word in range(len(counts)):
        path = slice(paths.starts[word], paths.starts[word + 1])
        nodes, signs = paths.nodes[path].tolist(), paths.signs[path].tolist()
        assert nodes[0] == len(counts) - 2  # every path begins at the root
        for place in range(len(nodes)):
            # Going the same ways from the root leads to the same node.
            assert ways.setdefault(tuple(signs[:place]), nodes[place]) == nodes[place]
    assert sorted(ways.values()) == list(range(len(counts) - 1))
