"""Approximate nearest rows by faiss: a graph (HNSW) or a partition (IVF) over the unit rows.

The index only proposes rows; `CosineIndex` scores them in float64. So a score is always right, and
only a neighbour may be missing.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.cosine_index import CosineIndex, Float64Array, Indices

_ROWS_AT_ONCE = 1 << 14
_TRAINING_ROWS_PER_CELL = 50
# Proposals beyond the k that are wanted, because the codes in the index blur their order.
_SPARE_PROPOSALS = 20
# Where the filter leaves a smaller share of the rows, a graph of all rows is a poor guide to them,
# and comparing with each of them is quick.
_SMALLEST_SHARE = 0.1
_MOST_NEIGHBORS = 1_000


class IndexKind(enum.Enum):
    """How rows are found without looking at all of them."""

    # A graph whose neighbours are walked (Malkov and Yashunin 2018). Faster.
    HNSW = "hnsw"
    # Cells around centroids, of which the nearest are scanned. Smaller and quicker to build.
    IVF = "ivf"


@dataclass(frozen=True, kw_only=True)
class ApproximateOptions:
    """How an index is built and searched; the defaults give a recall above 0.99 on GloVe.

    `links` and `construction_width` shape an HNSW graph (M and efConstruction of the paper).
    `search_width` is how many nodes HNSW keeps in view (efSearch), or how many cells IVF scans.
    """

    kind: IndexKind = IndexKind.HNSW
    links: int = 32
    construction_width: int = 100
    search_width: int = 128


class ApproximateIndex:
    """An index of the unit rows of a matrix (V, D), as 8-bit codes."""

    def __init__(self, index: Any, options: ApproximateOptions) -> None:
        """`index` is faiss's; `build` and `from_bytes` give one."""
        self._index = index
        self.options = options

    @classmethod
    def build(
        cls,
        rows: CosineIndex,
        options: ApproximateOptions,
        done: Callable[[int], None] = lambda _: None,
    ) -> "ApproximateIndex":
        """Index `rows`; takes minutes for some hundred thousand rows, on one thread, and then gives
        the same index each time. `done` is told how many more rows are in it. Raises
        ModuleNotFoundError without faiss."""
        faiss = _faiss()
        index = _empty_index(faiss, rows.size, rows.dimensions, options)
        units = _unit_blocks(rows)
        if not index.is_trained:
            cells = index.nlist if options.kind is IndexKind.IVF else 1
            step = max(1, rows.size // max(_ROWS_AT_ONCE, _TRAINING_ROWS_PER_CELL * cells))
            sample = rows.unit_rows(np.arange(0, rows.size, step)).astype(np.float32)
            index.train(sample)
        for block in units:
            index.add(block)
            done(len(block))
        return cls(index, options)

    @classmethod
    def from_bytes(
        cls, data: bytes, options: ApproximateOptions, *, size: int, dimensions: int
    ) -> "ApproximateIndex":
        """What `to_bytes` gave; raises ValueError where it is no index of (size, dimensions), and
        ModuleNotFoundError without faiss."""
        faiss = _faiss()
        try:
            index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        except RuntimeError as error:
            raise ValueError("is no index that faiss can read") from error
        found = (index.ntotal, index.d, index.metric_type)
        if found != (size, dimensions, faiss.METRIC_INNER_PRODUCT):
            raise ValueError(f"indexes {found[0]:,} x {found[1]}, not {size:,} x {dimensions}")
        return cls(faiss.downcast_index(index), options)

    def to_bytes(self) -> bytes:
        """The index as a file's contents."""
        data: NDArray[np.uint8] = _faiss().serialize_index(self._index)
        return data.tobytes()

    def serves(self, *, k: int, row_limit: int) -> bool:
        """Whether the index is any good for `k` of the first `row_limit` rows."""
        few = row_limit < _SMALLEST_SHARE * self._index.ntotal or 2 * k > row_limit
        return not few and k <= _MOST_NEIGHBORS

    def candidates(self, queries: Float64Array, *, k: int, row_limit: int) -> list[Indices]:
        """For each of `queries` (B, D), of length 1, at least `k` rows below `row_limit` that are
        probably the nearest, in any order; fewer where no more were found."""
        faiss = _faiss()
        proposals = min(k + _SPARE_PROPOSALS, row_limit)
        selector = None
        if row_limit < self._index.ntotal:
            selector = faiss.IDSelectorRange(0, row_limit)
        if self.options.kind is IndexKind.HNSW:
            width = max(self.options.search_width, 2 * k)
            parameters = faiss.SearchParametersHNSW(efSearch=width, sel=selector)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=self.options.search_width, sel=selector)
        _, found = self._index.search(queries.astype(np.float32), proposals, params=parameters)
        return [rows[rows >= 0] for rows in found]


def _empty_index(faiss: Any, size: int, width: int, options: ApproximateOptions) -> Any:
    metric = faiss.METRIC_INNER_PRODUCT
    codes = faiss.ScalarQuantizer.QT_8bit
    if options.kind is IndexKind.HNSW:
        index = faiss.IndexHNSWSQ(width, codes, options.links, metric)
        index.hnsw.efConstruction = options.construction_width
        return index
    cells = max(1, min(4 * int(size**0.5), size // 39))  # 39: below that, faiss warns.
    centroids = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFScalarQuantizer(centroids, width, cells, codes, metric)
    centroids.this.disown()
    index.own_fields = True
    return index


def _unit_blocks(rows: CosineIndex) -> Any:
    for start in range(0, rows.size, _ROWS_AT_ONCE):
        yield rows.unit_rows(slice(start, start + _ROWS_AT_ONCE)).astype(np.float32)


def _faiss() -> Any:
    import faiss

    # Requests are what runs side by side; one of them is too short to be divided among threads.
    faiss.omp_set_num_threads(1)
    return faiss
