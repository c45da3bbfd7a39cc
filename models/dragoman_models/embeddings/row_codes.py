"""Rows in 8-bit codes, and a proof of which of them cannot be among the k nearest to a query.

Row x of length 1 becomes whole numbers c with x = s c + d, s = max|x| / 127, and a query q of
length 1 becomes p with q = t p + e. Then x.q = s t c.p + s c.e + d.q, and by Cauchy-Schwarz

    |x.q - s t c.p|  <=  (1 + |d|) |e| + |d|

The lengths |d| (the greatest of all rows) and |e| are measured, not estimated. So k rows with
scores s t c.p of at least h have cosines of at least h minus that bound, and a row whose score is
below h minus twice the bound is not among the k nearest. The codes take a quarter of the memory
traffic of float32, and integer sums are exact in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.code_scan import OVERFLOWED, encode_rows, scan_codes
from dragoman_models.embeddings.code_tile import COMPONENTS, QUERIES, ROWS

Float32Matrix: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

SMALLEST_NORM, LARGEST_NORM = 1e-12, 1e12
_LARGEST_CODE = 127
_ALIGNMENT = 64
# Covers the rounding of scores, thresholds and scales in float32: each within 2^-23 of about 1.
_ROUNDING = 2e-6
_CAPACITY = 4_096  # candidates of a query; some dozens is usual
_CANDIDATES_AT_ONCE = 1 << 21
QUERIES_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class _QueryCodes:
    """Queries as `code_tile` takes them, padded with queries that no row reaches."""

    codes: NDArray[np.int8]  # (B, 4 G)
    offsets: NDArray[np.int32]  # (B,)
    scales: Float64Array  # (B,): t
    errors: Float64Array  # (B,): |e|


class RowCodes:
    """The codes of the rows of a matrix (V, D); rows of zeros are left out of every answer."""

    def __init__(self, matrix: Float32Matrix) -> None:
        """Raises ValueError for a row with a value that is not finite, or with a length that is
        not zero yet outside 1e-12 .. 1e12."""
        self._row_count, width = matrix.shape
        blocks, groups = -(-self._row_count // ROWS), -(-width // COMPONENTS)
        self._codes = _aligned_bytes(blocks * groups * ROWS * COMPONENTS).reshape(
            blocks, groups, ROWS, COMPONENTS
        )
        self._scales = np.empty(blocks * ROWS, np.float32)
        words = self._codes.view(np.uint32)[..., 0]  # (blocks, G, 16)
        wrong, error = encode_rows(matrix, words, self._scales, SMALLEST_NORM, LARGEST_NORM)
        if wrong >= 0:
            raise ValueError(
                f"row {wrong} holds a value that is not finite, or has a length outside "
                f"{SMALLEST_NORM:g} to {LARGEST_NORM:g}"
            )
        self._error = error

    def is_zero(self, row: int) -> bool:
        """Whether the row is all zeros."""
        return bool(np.isnan(self._scales[row]))

    def candidates(
        self, queries: Float64Array, *, k: int, row_limit: int, floor: float
    ) -> list[Indices | None]:
        """For each of `queries` (B, D), of length 1, rows that hold its k nearest among the first
        `row_limit`, as far as their cosine is at least `floor`.

        None where too many rows are too close to each other to be told apart by their codes.
        """
        k = min(k, row_limit)
        capacity = max(_CAPACITY, 4 * k)
        if capacity > _CANDIDATES_AT_ONCE:
            return [None] * len(queries)
        step = min(QUERIES_AT_ONCE, max(QUERIES, _CANDIDATES_AT_ONCE // capacity))
        found: list[Indices | None] = []
        for start in range(0, len(queries), step):
            found += self._scan(queries[start : start + step], k, row_limit, floor, capacity)
        return found

    def _scan(
        self, queries: Float64Array, k: int, row_limit: int, floor: float, capacity: int
    ) -> list[Indices | None]:
        coded = self._encode_queries(queries)
        bounds = (1 + self._error) * coded.errors + self._error + _ROUNDING  # (B,)
        slacks = (2 * bounds / coded.scales).astype(np.float32)
        thresholds = np.full(len(coded.codes), np.inf, np.float32)
        thresholds[: len(queries)] = ((floor - bounds) / coded.scales)[: len(queries)]
        rows = np.empty((len(coded.codes), capacity), np.int32)
        scores = np.empty(rows.shape, np.float32)
        counts = np.zeros(len(rows), np.int64)
        scan_codes(
            self._codes, self._scales, row_limit, coded.codes, coded.offsets, slacks, thresholds,
            k, rows, scores, counts,
        )  # fmt: skip
        return _kept(rows, scores, counts.tolist()[: len(queries)], thresholds)

    def _encode_queries(self, queries: Float64Array) -> _QueryCodes:
        count, width = queries.shape
        padded = count if count == 1 else -(-count // QUERIES) * QUERIES
        scales = np.ones(padded)
        scales[:count] = np.abs(queries).max(axis=1) / _LARGEST_CODE
        rounded = np.rint(queries / scales[:count, None])  # (B, D)
        codes = np.zeros((padded, self._codes.shape[1] * COMPONENTS), np.int8)
        codes[:count, :width] = rounded
        errors = np.zeros(padded)
        errors[:count] = np.linalg.norm(queries - scales[:count, None] * rounded, axis=1)
        sums = codes.sum(axis=1, dtype=np.int32)
        return _QueryCodes(codes=codes, offsets=-128 * sums, scales=scales, errors=errors)


def _kept(
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    counts: Sequence[int],
    thresholds: NDArray[np.float32],
) -> list[Indices | None]:
    """The candidates that the final thresholds leave."""
    kept: list[Indices | None] = []
    for query, count in enumerate(counts):
        if count == OVERFLOWED:
            kept.append(None)
        else:
            reach = scores[query, :count] >= thresholds[query]
            kept.append(rows[query, :count][reach].astype(np.int64))
    return kept


def _aligned_bytes(count: int) -> NDArray[np.uint8]:
    """Uninitialized bytes that start at a multiple of the vector registers' size."""
    memory = np.empty(count + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + count]
