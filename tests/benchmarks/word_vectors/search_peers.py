"""The ways that others search word vectors, each as one function from queries to the k best rows.

All get the rows and queries scaled to length 1 in float32. "Bare" is the product alone: what a
search that reads every float32 number cannot be faster than.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.float32]
Search: TypeAlias = Callable[[Rows], object]  # queries (B, D); the rows found, or nothing


def numpy_peers(rows: Rows, k: int) -> dict[str, Search]:
    """The bare product, and the usual partition of all scores."""

    def bare(queries: Rows) -> object:
        if len(queries) == 1:
            return rows @ queries[0]  # (V, D) @ (D,) -> (V,)
        return queries @ rows.T  # (B, D) @ (D, V) -> (B, V)

    def full_scores(queries: Rows) -> object:
        scores = queries @ rows.T  # (B, V)
        best = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    def gensim_way(queries: Rows) -> object:
        """KeyedVectors.most_similar: one query at a time, the scores divided by the norms."""
        found = []
        for query in queries:
            scores = (rows @ query) / norms
            best = np.argpartition(-scores, k)[:k]
            found.append(best[np.argsort(-scores[best])])
        return np.stack(found)

    norms = np.linalg.norm(rows, axis=1)
    return {"numpy, bare product": bare, "numpy": full_scores, "as gensim does": gensim_way}


def torch_peers(rows: Rows, k: int) -> dict[str, Search]:
    """torch's product and its top-k, where torch is installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return {}
    torch.set_num_threads(1)
    matrix = torch.from_numpy(rows)

    def bare(queries: Rows) -> object:
        if len(queries) == 1:
            return matrix @ torch.from_numpy(queries[0])
        return torch.from_numpy(queries) @ matrix.T

    def full_scores(queries: Rows) -> object:
        return (torch.from_numpy(queries) @ matrix.T).topk(k, dim=1).indices.numpy()

    return {"torch, bare product": bare, "torch": full_scores}


def faiss_peers(rows: Rows, k: int) -> dict[str, Search]:
    """faiss's exact index, where faiss is installed."""
    try:
        import faiss
    except ModuleNotFoundError:
        return {}
    faiss.omp_set_num_threads(1)
    index: Any = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return {"faiss FlatIP": lambda queries: index.search(queries, k)[1]}
