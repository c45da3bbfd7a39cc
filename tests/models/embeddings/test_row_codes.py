"""The scan of 8-bit codes keeps every row that belongs to the answer, and its sums are exact."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.embeddings import code_tile, row_codes
from dragoman_models.embeddings.code_tile import COMPONENTS, QUERIES, ROWS
from dragoman_models.embeddings.cosine_index import CosineIndex, unit_vector
from dragoman_models.embeddings.row_codes import RowCodes

Matrix = NDArray[np.float32]


def unit_queries(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float64]:
    return np.stack([unit_vector(query) for query in rng.standard_normal((count, width))])


def cosines(matrix: Matrix, queries: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, V) in float64; -inf for a row of zeros."""
    rows = matrix.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    found = queries @ (rows / np.where(norms == 0, 1, norms)[:, None]).T
    return np.asarray(np.where(norms == 0, -np.inf, found))


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 200),
    width=st.integers(1, 40),
    queries=st.sampled_from([1, 2, 8, 9, 17]),
    k=st.integers(1, 220),
    limit=st.integers(1, 200),
)
def test_no_answer_is_ruled_out(
    seed: int, rows: int, width: int, queries: int, k: int, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    # Rows of very different shapes: dense, nearly one-hot, repeated, zero.
    matrix = (rng.standard_normal((rows, width)) ** rng.integers(1, 9)).astype(np.float32)
    matrix[np.abs(matrix) < 1e-6] = 0
    matrix[rng.random(rows) < 0.1] = 0
    matrix[rng.integers(0, rows, 3)] = matrix[0]
    limit = min(limit, rows)
    asked = unit_queries(rng, queries, width)
    found = RowCodes(matrix).candidates(asked, k=k, row_limit=limit, floor=-np.inf)
    for scores, candidates in zip(cosines(matrix[:limit], asked), found, strict=True):
        assert candidates is not None
        assert len(set(candidates.tolist())) == len(candidates)
        finite = np.sort(scores[np.isfinite(scores)])[::-1]
        if finite.size:
            kth = finite[min(k, finite.size) - 1]
            assert set(np.flatnonzero(scores >= kth)) <= set(candidates.tolist())
        assert np.isfinite(scores[candidates]).all()


def test_few_rows_are_left_to_score_again() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((20_000, 50)).astype(np.float32)
    found = RowCodes(matrix).candidates(
        unit_queries(rng, 16, 50), k=10, row_limit=20_000, floor=-np.inf
    )
    assert max(len(rows) for rows in found if rows is not None) < 200


@pytest.mark.parametrize("tile", [code_tile.wide_tile, code_tile.portable_tile])
def test_a_tile_gives_exact_sums_and_marks_the_queries_that_are_reached(tile: Any) -> None:
    """Codes over their whole ranges, so that the greatest possible sums are among them."""
    rng = np.random.default_rng(2)
    groups = 9
    codes = row_codes._aligned_bytes(3 * groups * ROWS * COMPONENTS)
    codes = codes.reshape(3, groups, ROWS, COMPONENTS)
    codes[:] = rng.integers(1, 256, codes.shape)
    codes[1, :, 0], codes[1, :, 1] = 255, 1
    queries = rng.integers(-127, 128, (2 * QUERIES, groups * COMPONENTS)).astype(np.int8)
    queries[QUERIES], queries[QUERIES + 1] = 127, -127
    offsets = -128 * queries.sum(axis=1, dtype=np.int32)
    scales = rng.random(3 * ROWS, dtype=np.float32)
    scales[ROWS + 3] = np.nan
    rows = codes[1].transpose(1, 0, 2).reshape(ROWS, -1).astype(np.int64) - 128
    expected = queries[QUERIES:].astype(np.int64) @ rows.T  # (8, 16)
    scores = expected.astype(np.float32) * scales[ROWS : 2 * ROWS]
    thresholds = np.zeros(2 * QUERIES, np.float32)
    thresholds[QUERIES:] = np.nanmax(scores, axis=1)  # reached exactly by the best row
    thresholds[QUERIES + 5] = np.nextafter(thresholds[QUERIES + 5], np.float32(np.inf))
    sums = np.zeros((QUERIES, ROWS), np.int32)
    call = numba.njit(lambda *arguments: tile(*arguments))
    reached = call(codes, 1, queries, QUERIES, offsets, scales, thresholds, sums)
    np.testing.assert_array_equal(sums, expected)
    assert reached == 0xFF & ~(1 << 5)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_that_codes_cannot_tell_apart_are_still_searched_exactly(count: int) -> None:
    """More near-equal rows than the candidates of a query have room for."""
    rng = np.random.default_rng(3)
    base = rng.standard_normal(12)
    matrix = (base + 1e-5 * rng.standard_normal((9_000, 12))).astype(np.float32)
    queries = unit_queries(rng, count, 12)
    index = CosineIndex(matrix)
    assert RowCodes(matrix).candidates(queries, k=4, row_limit=9_000, floor=-2) == [None] * count
    for scores, answer in zip(cosines(matrix, queries), index.nearest(queries, k=4), strict=True):
        np.testing.assert_allclose(answer.scores, np.sort(scores)[:-5:-1], rtol=0, atol=1e-12)


def test_codes_are_not_used_where_most_rows_are_wanted() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((300, 5)).astype(np.float32)
    queries = unit_queries(rng, 2, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_codes, "_CANDIDATES_AT_ONCE", 100)
        scanned = CosineIndex(matrix).nearest(queries, k=300)
    coded = CosineIndex(matrix).nearest(queries, k=300)
    for one, other in zip(scanned, coded, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.scores, other.scores)


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_a_floor_keeps_what_reaches_it(seed: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((100, 6)).astype(np.float32)
    query = unit_queries(rng, 1, 6)
    (candidates,) = RowCodes(matrix).candidates(query, k=100, row_limit=100, floor=floor)
    assert candidates is not None
    (scores,) = cosines(matrix, query)
    assert set(np.flatnonzero(scores >= floor)) <= set(candidates.tolist())
    assert (scores[candidates] >= floor - 0.1).all()
