"""Exact search for the rows of a matrix that score highest against a query.

A scan in fast arithmetic rules out all rows that a proved error bound allows to be ruled out; the
few that remain are scored again in float64, row by row. So the answer is the one that float64
arithmetic gives, whatever the batch size, and equal rows have equal scores. Cosines are scanned in
8-bit codes (`row_codes`); where those cannot tell the rows apart, in float32.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Matrix: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

# Few enough scores at once to stay in the second-level cache while they are compared.
_SCORES_PER_BLOCK = 1 << 18
_ROWS_PER_BLOCK = 1 << 14
_QUERIES_PER_BATCH = 64
_ROWS_PER_CONVERSION = 1 << 14
_COS_MUL_EPSILON = 0.001
_NO_ROWS: Indices = np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class TopRows:
    """The best rows for one query: highest score first, and the lower index first among equals."""

    indices: Indices  # (n,), n <= k
    scores: Float64Array  # (n,)
    is_exact: bool = True  # whether no better row can be missing


class ScoringRule(Protocol):
    """How B queries score the rows of an index."""

    query_count: int
    tolerance: float  # no scanned score is further than this from the exact one

    def scan(self, start: int, stop: int) -> NDArray[Any]:
        """Approximate scores of rows [start, stop), shape (B, stop - start); -inf rules one out."""
        ...

    def exact(self, query: int, rows: Indices) -> Float64Array:
        """Scores of `rows` for one query in float64, shape (len(rows),)."""
        ...


class CosineIndex:
    """The rows of a matrix, ready to be searched by direction.

    A row of zeros has no direction and is never an answer.
    """

    def __init__(self, matrix: Float32Matrix) -> None:
        """`matrix` (V, D) is kept, not copied. Raises ValueError for a row with a value that is
        not finite, or with a norm that is not zero yet outside 1e-12 .. 1e12."""
        from dragoman_models.embeddings.row_codes import RowCodes  # numba: only who searches pays

        self.matrix = matrix
        self._codes = RowCodes(matrix)

    @cached_property
    def inverse_norms(self) -> NDArray[np.float32]:
        """1 over the norms of the rows (V,), and 1 for a row of zeros."""
        norms = _row_norms(self.matrix)
        return (1.0 / np.where(norms == 0, 1.0, norms)).astype(np.float32)

    @cached_property
    def zero_rows(self) -> Indices:
        """The rows that are all zeros."""
        return np.flatnonzero(~self.matrix.any(axis=1))

    def is_zero(self, row: int) -> bool:
        """Whether the row is all zeros."""
        return self._codes.is_zero(row)

    @property
    def size(self) -> int:
        """V, the number of rows."""
        return int(self.matrix.shape[0])

    @property
    def dimensions(self) -> int:
        """D, the number of columns."""
        return int(self.matrix.shape[1])

    def unit_rows(self, rows: Indices | slice) -> Float64Array:
        """The rows scaled to length 1, in float64, shape (n, D); a row of zeros stays so."""
        vectors = self.matrix[rows].astype(np.float64)
        # A sum along each row, not a matrix product: its order does not depend on the row's place.
        norms = np.sqrt(np.square(vectors).sum(axis=1))
        return vectors / np.where(norms == 0, 1.0, norms)[:, None]

    def search(
        self, rule: ScoringRule, *, k: int, row_limit: int | None = None, floor: float = -np.inf
    ) -> list[TopRows]:
        """The k best of the first `row_limit` rows for each query, none with a score below
        `floor`. Fewer come back where fewer qualify."""
        row_count = self.size if row_limit is None else min(row_limit, self.size)
        scan = _Scan(rule, k=k, floor=floor)
        block = min(_ROWS_PER_BLOCK, max(1, _SCORES_PER_BLOCK // max(1, rule.query_count)))
        for start in range(0, row_count, block):
            stop = min(start + block, row_count)
            scan.add(start, rule.scan(start, stop))
        return [_best_of(rule, query, scan, k, floor) for query in range(rule.query_count)]

    def nearest(
        self, queries: Float64Array, *, k: int, row_limit: int | None = None, floor: float = -np.inf
    ) -> list[TopRows]:
        """The same by cosine; `queries` (B, D) are of length 1, in float64."""
        row_limit = self.size if row_limit is None else min(row_limit, self.size)
        found = self._codes.candidates(queries, k=k, row_limit=row_limit, floor=floor)
        answers: list[TopRows] = []
        for start in range(0, len(queries), _QUERIES_PER_BATCH):
            batch = slice(start, start + _QUERIES_PER_BATCH)
            told_apart = [_NO_ROWS if rows is None else rows for rows in found[batch]]
            answers += self.best_of(told_apart, queries[batch], k=k, floor=floor)
        for query, rows in enumerate(found):
            if rows is None:
                rule = CosineRule(self, queries[query : query + 1])
                answers[query] = self.search(rule, k=k, row_limit=row_limit, floor=floor)[0]
        return answers

    def best_of(
        self, candidates: Sequence[Indices], queries: Float64Array, *, k: int, floor: float
    ) -> list[TopRows]:
        """The k best of each query's candidates, all of them scored and sorted at once."""
        query_of = np.repeat(np.arange(len(queries)), [len(rows) for rows in candidates])
        rows = np.concatenate([_NO_ROWS, *candidates])
        scores = self._cosines(rows, queries, query_of)
        order = np.lexsort((rows, -scores, query_of))
        order = order[scores[order] >= floor]
        rows, scores, query_of = rows[order], scores[order], query_of[order]
        starts = np.searchsorted(query_of, np.arange(len(queries) + 1)).tolist()
        best = [slice(start, min(start + k, stop)) for start, stop in itertools.pairwise(starts)]
        return [TopRows(indices=rows[part], scores=scores[part]) for part in best]

    def _cosines(self, rows: Indices, queries: Float64Array, query_of: Indices) -> Float64Array:
        """The cosine of each row with its own query, in float64, a block at a time."""
        cosines = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS_PER_BLOCK):
            block = slice(start, start + _ROWS_PER_BLOCK)
            products = self.unit_rows(rows[block]) * queries[query_of[block]]
            cosines[block] = products.sum(axis=1)
        return np.clip(cosines, -1.0, 1.0)


class CosineRule:
    """The cosine of each row with each query; queries (B, D) are of length 1, in float64."""

    def __init__(self, index: CosineIndex, queries: Float64Array) -> None:
        self._index = index
        self._queries = queries
        self._queries32 = np.ascontiguousarray(queries, dtype=np.float32)
        self.query_count = len(queries)
        # A float32 dot product of unit vectors is within D u of the true one in any order of
        # summation (Higham 2002, section 3.1); the rest covers the rounding of query, norm and
        # product, and the bound's second-order terms.
        self.tolerance = 1.1 * (index.dimensions + 8) * 2.0**-24

    def scan(self, start: int, stop: int) -> Float32Matrix:
        block = self._index.matrix[start:stop]  # (n, D)
        if self.query_count == 1:
            scores = (block @ self._queries32[0])[None, :]  # (n, D) @ (D,) -> (1, n)
        else:
            scores = self._queries32 @ block.T  # (B, D) @ (D, n) -> (B, n)
        scores *= self._index.inverse_norms[start:stop]
        return _without_zero_rows(self._index, scores, start, stop)

    def exact(self, query: int, rows: Indices) -> Float64Array:
        return _row_cosines(self._index, rows, self._queries[query])


class CosMulRule:
    """3CosMul (Levy and Goldberg 2014, eq. 4): for a : b :: c : d, the score of d is
    cos'(d, b) cos'(d, c) / (cos'(d, a) + 0.001), with cos' = (cos + 1) / 2.

    Its denominator may be near zero, which float32 does not bear: it is scanned in float64.
    """

    def __init__(
        self, index: CosineIndex, a: Float64Array, b: Float64Array, c: Float64Array
    ) -> None:
        """`a`, `b` and `c` are (B, D), of length 1."""
        self._index = index
        self._words = np.stack([a, b, c])  # (3, B, D)
        self.query_count = len(a)
        # A cosine's error e becomes at most e (2 / epsilon + 1 / epsilon^2) in the score.
        cosine_error = (index.dimensions + 8) * 2.0**-53
        self.tolerance = cosine_error * (2 / _COS_MUL_EPSILON + 1 / _COS_MUL_EPSILON**2)

    def scan(self, start: int, stop: int) -> Float64Array:
        rows = self._index.unit_rows(slice(start, stop))  # (n, D)
        a, b, c = self._words @ rows.T  # (3, B, D) @ (D, n) -> (3, B, n)
        return _without_zero_rows(self._index, _cos_mul(a, b, c), start, stop)

    def exact(self, query: int, rows: Indices) -> Float64Array:
        a, b, c = (_row_cosines(self._index, rows, word[query]) for word in self._words)
        return _cos_mul(a, b, c)


def _cos_mul(a: Float64Array, b: Float64Array, c: Float64Array) -> Float64Array:
    scores: Float64Array = ((b + 1) / 2) * ((c + 1) / 2) / ((a + 1) / 2 + _COS_MUL_EPSILON)
    return scores


class _Scan:
    """The rows that are still possible answers, for each query, as blocks of scores come in."""

    def __init__(self, rule: ScoringRule, *, k: int, floor: float) -> None:
        self._k = k
        self._slack = 2 * rule.tolerance
        lowest = float(np.finfo(np.float32).min) / 2
        self._floors = np.full(rule.query_count, max(floor - self._slack, lowest))
        self._rows: list[Indices] = [np.empty(0, np.int64)] * rule.query_count
        self._scores: list[NDArray[Any]] = [np.empty(0, np.float32)] * rule.query_count

    def add(self, start: int, scores: NDArray[Any]) -> None:
        """Take the scores (B, n) of the rows from `start` on."""
        if start == 0 and scores.shape[1] > self._k:
            kth_best = _kth_best(scores, self._k)  # (B,)
            self._floors = np.maximum(self._floors, kth_best - self._slack)
        # Floors in the scores' own type, or the comparison would widen the whole block.
        floors = np.nextafter(self._floors.astype(scores.dtype), -np.inf, dtype=scores.dtype)
        possible = scores >= floors[:, None]
        for query in np.flatnonzero(possible.any(axis=1)):
            columns = np.flatnonzero(possible[query])
            rows = np.concatenate([self._rows[query], columns + start])
            values = np.concatenate([self._scores[query], scores[query, columns]])
            if len(rows) > self._k:
                floor = float(_kth_best(values, self._k)) - self._slack
                self._floors[query] = max(self._floors[query], floor)
                keep = values >= self._floors[query]
                rows, values = rows[keep], values[keep]
            self._rows[query], self._scores[query] = rows, values

    def candidates(self, query: int) -> Indices:
        return self._rows[query]


def _best_of(rule: ScoringRule, query: int, scan: _Scan, k: int, floor: float) -> TopRows:
    rows = scan.candidates(query)
    scores = rule.exact(query, rows)
    order = np.lexsort((rows, -scores))
    order = order[scores[order] >= floor][:k]
    return TopRows(indices=rows[order], scores=scores[order])


def _kth_best(scores: NDArray[Any], k: int) -> NDArray[Any]:
    """The k-th greatest of the last axis, which is longer than k."""
    place = scores.shape[-1] - k
    best: NDArray[Any] = np.partition(scores, place, axis=-1)[..., place]
    return best


def _row_norms(matrix: Float32Matrix) -> Float64Array:
    """Euclidean norms (V,) in float64, a block at a time to spare memory."""
    norms = np.empty(len(matrix), dtype=np.float64)
    for start in range(0, len(matrix), _ROWS_PER_CONVERSION):
        rows = matrix[start : start + _ROWS_PER_CONVERSION].astype(np.float64)
        norms[start : start + len(rows)] = np.sqrt(np.square(rows).sum(axis=1))
    return norms


def _row_cosines(index: CosineIndex, rows: Indices, query: Float64Array) -> Float64Array:
    # A sum along each row, not a matrix product: its order does not depend on the row's place.
    cosines: Float64Array = (index.unit_rows(rows) * query).sum(axis=1)
    return np.clip(cosines, -1.0, 1.0)


def _without_zero_rows(
    index: CosineIndex, scores: NDArray[Any], start: int, stop: int
) -> NDArray[Any]:
    if index.zero_rows.size:
        within = index.zero_rows[(index.zero_rows >= start) & (index.zero_rows < stop)]
        scores[:, within - start] = -np.inf
    return scores


def unit_vector(vector: Sequence[float] | NDArray[Any]) -> Float64Array:
    """`vector` scaled to length 1, in float64, also where its squares would overflow.

    The vector must be finite and not all zeros.
    """
    values = np.asarray(vector, dtype=np.float64)
    values = values / np.abs(values).max()
    unit: Float64Array = values / np.sqrt(np.square(values).sum())
    return unit
