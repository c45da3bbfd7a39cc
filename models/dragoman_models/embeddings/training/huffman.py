"""The binary tree of hierarchical softmax: frequent words get short paths (Huffman 1952)."""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class HuffmanPaths(NamedTuple):
    """For each word its path from the root: inner nodes 0 .. V-2, and at each which way it goes.

    Word v has entries starts[v] to starts[v + 1]. A sign is -1 where the path goes to the left,
    the way with probability sigmoid(node . input), and +1 where it goes to the right.
    """

    starts: NDArray[np.int64]  # (V + 1,)
    nodes: NDArray[np.int32]
    signs: NDArray[np.float32]


def huffman_paths(counts: NDArray[np.int64]) -> HuffmanPaths:
    """The paths of an optimal tree for words that stand `counts` (V,) times; V is at least 2."""
    size = len(counts)
    parent = np.zeros(2 * size - 1, dtype=np.int64)
    left = np.zeros(2 * size - 1, dtype=bool)
    heap = [(count, word) for word, count in enumerate(counts.tolist())]
    heapq.heapify(heap)
    for node in range(size, 2 * size - 1):
        (least, first), (second_least, second) = heapq.heappop(heap), heapq.heappop(heap)
        parent[first] = parent[second] = node
        left[first] = True
        heapq.heappush(heap, (least + second_least, node))
    return _paths_to_root(size, parent.tolist(), left.tolist())


def _paths_to_root(size: int, parent: list[int], left: list[bool]) -> HuffmanPaths:
    root = 2 * size - 2
    starts, nodes, signs = [0], [], []
    for word in range(size):
        path, ways = [], []
        at = word
        while at != root:
            ways.append(-1.0 if left[at] else 1.0)
            at = parent[at]
            path.append(at - size)
        nodes += path[::-1]
        signs += ways[::-1]
        starts.append(len(nodes))
    return HuffmanPaths(
        np.array(starts, dtype=np.int64),
        np.array(nodes, dtype=np.int32),
        np.array(signs, dtype=np.float32),
    )
