"""The index gives what brute force in float64 gives, whatever the batch, ties and blocks."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dragoman_models.embeddings import cosine_index
from dragoman_models.embeddings.cosine_index import CosineIndex, CosMulRule, TopRows, unit_vector

Matrix = NDArray[np.float32]
# Few distinct values, so that equal rows, zero rows and tied scores are common.
coarse = st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5, 3.0])
fine = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)
matrices = st.tuples(st.integers(1, 60), st.integers(1, 7)).flatmap(
    lambda shape: st.one_of(
        hnp.arrays(np.float32, shape, elements=coarse), hnp.arrays(np.float32, shape, elements=fine)
    )
)


def brute_force(matrix: Matrix, query: NDArray[np.float64], k: int) -> list[tuple[int, float]]:
    """The k best (row, cosine), all of it in float64 Python, zero rows never."""
    found = []
    for row, vector in enumerate(matrix.astype(np.float64)):
        norm = np.sqrt(np.square(vector).sum())
        if norm > 0:
            cosine = float(np.clip((vector / norm * query).sum(), -1, 1))
            found.append((row, cosine))
    return sorted(found, key=lambda item: (-item[1], item[0]))[:k]


def pairs(found: TopRows) -> list[tuple[int, float]]:
    return list(zip(found.indices.tolist(), found.scores.tolist(), strict=True))


@given(matrices, st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_search_equals_brute_force(matrix: Matrix, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    random = rng.standard_normal((3, matrix.shape[1]))
    rows = [row.astype(np.float64) for row in matrix[:3] if row.any()]
    queries = np.stack([unit_vector(query) for query in [*random, *rows]])
    answers = CosineIndex(matrix).nearest(queries, k=k)
    for query, answer in zip(queries, answers, strict=True):
        assert pairs(answer) == brute_force(matrix, query, k)


@given(matrices, st.integers(1, 10), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_blocks_do_not_change_the_answer(matrix: Matrix, k: int, block: int, seed: int) -> None:
    queries = np.stack(
        [unit_vector(q) for q in np.random.default_rng(seed).standard_normal((4, matrix.shape[1]))]
    )
    index = CosineIndex(matrix)
    whole = index.nearest(queries, k=k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine_index, "_ROWS_PER_BLOCK", block)
        blocked = index.nearest(queries, k=k)
    assert [pairs(answer) for answer in blocked] == [pairs(answer) for answer in whole]


def test_a_batch_gives_what_each_query_gives_alone() -> None:
    rng = np.random.default_rng(3)
    index = CosineIndex(rng.standard_normal((5_000, 50)).astype(np.float32))
    queries = np.stack([unit_vector(query) for query in rng.standard_normal((130, 50))])
    together = [pairs(answer) for answer in index.nearest(queries, k=7)]
    alone = [pairs(index.nearest(query[None], k=7)[0]) for query in queries]
    assert together == alone


def test_equal_rows_come_in_order_of_frequency() -> None:
    rng = np.random.default_rng(4)
    matrix = np.repeat(rng.standard_normal((1, 100)), 999, axis=0).astype(np.float32)
    (answer,) = CosineIndex(matrix).nearest(unit_vector(rng.standard_normal(100))[None], k=20)
    assert answer.indices.tolist() == list(range(20))
    assert len(set(answer.scores.tolist())) == 1


def test_rows_that_float32_cannot_tell_apart_are_ranked_as_float64_ranks_them() -> None:
    rng = np.random.default_rng(5)
    base = rng.standard_normal(64)
    matrix = (base + 1e-6 * rng.standard_normal((2_000, 64))).astype(np.float32)
    query = unit_vector(base)
    (answer,) = CosineIndex(matrix).nearest(query[None], k=25)
    assert pairs(answer) == brute_force(matrix, query, 25)


@given(matrices, st.integers(1, 70), st.floats(-1, 1))
def test_limits_and_floors_only_leave_out(matrix: Matrix, limit: int, floor: float) -> None:
    query = unit_vector(np.arange(1.0, matrix.shape[1] + 1))
    (answer,) = CosineIndex(matrix).nearest(query[None], k=60, row_limit=limit, floor=floor)
    expected = [
        (row, score) for row, score in brute_force(matrix[:limit], query, 60) if score >= floor
    ]
    assert pairs(answer) == expected


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_cos_mul_equals_its_equation(seed: int, k: int) -> None:
    """Levy and Goldberg 2014, eq. 4, in float64; row 0 is -a, where the denominator is least."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((40, 6)).astype(np.float32)
    a, b, c = (unit_vector(vector) for vector in rng.standard_normal((3, 6)))
    matrix[0] = -a
    index = CosineIndex(matrix)
    (answer,) = index.search(CosMulRule(index, a[None], b[None], c[None]), k=k)
    units = matrix.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    near = [(units @ word + 1) / 2 for word in (a, b, c)]
    scores = near[1] * near[2] / (near[0] + 0.001)
    np.testing.assert_array_equal(answer.indices, np.argsort(-scores)[:k])
    np.testing.assert_allclose(answer.scores, np.sort(scores)[::-1][:k], rtol=1e-9)


def test_the_error_bound_holds_where_float32_is_worst() -> None:
    """Cancelling terms of very different sizes, in rows of very different lengths."""
    rng = np.random.default_rng(6)
    lengths = 10.0 ** rng.integers(-9, 9, size=(3_000, 1))
    spread = 10.0 ** rng.integers(-4, 4, size=(3_000, 100))
    matrix = (lengths * spread * rng.standard_normal((3_000, 100))).astype(np.float32)
    index = CosineIndex(matrix)
    queries = np.stack([unit_vector(query) for query in rng.standard_normal((8, 100))])
    rule = cosine_index.CosineRule(index, queries)
    scanned = rule.scan(0, 3_000)
    for query in range(8):
        error = np.abs(scanned[query] - rule.exact(query, np.arange(3_000))).max()
        assert error <= rule.tolerance


@pytest.mark.parametrize(
    "spoil", [lambda m: m * np.nan, lambda m: m * np.inf, lambda m: m * 1e20, lambda m: m * 1e-20]
)
def test_rows_that_cannot_be_scored_are_refused(spoil: Callable[[Matrix], Matrix]) -> None:
    matrix = np.ones((4, 3), dtype=np.float32)
    matrix[2] = spoil(matrix[2])
    with pytest.raises(ValueError, match="row 2 holds a value that is not finite, or has a length"):
        CosineIndex(matrix)


@given(hnp.arrays(np.float64, 5, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_unit_vector_has_length_1_at_any_scale(vector: NDArray[np.float64]) -> None:
    if vector.any():
        unit = unit_vector(vector)
        assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-12)
        assert ((unit == 0) | (np.sign(unit) == np.sign(vector))).all()
