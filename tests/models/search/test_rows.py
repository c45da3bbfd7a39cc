"""The best columns of rows against a full sort, and sums of exponentials against float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.search.rows import best_columns, gathered, log_sum_exp


@given(
    rows=st.integers(0, 4), columns=st.integers(1, 1500), count=st.integers(1, 9),
    kinds=st.integers(1, 40), seed=st.integers(0, 999),
)  # fmt: skip
def test_best_columns_are_those_of_a_sort(
    rows: int, columns: int, count: int, kinds: int, seed: int
) -> None:
    """Among many that are equal, and many that are ruled out, whole blocks at times."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, kinds, (rows, columns)).astype(np.float32)
    values[:, : rng.integers(columns + 1)] = -np.inf
    count = min(count, columns)
    best, found = best_columns(values, count)
    np.testing.assert_array_equal(best, -np.sort(-values, axis=1)[:, :count])
    np.testing.assert_array_equal(gathered(values, found), best)
    assert all(len(set(row)) == count for row in found.tolist())


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_exponentials(axis: int) -> None:
    values = np.random.default_rng(1).normal(0, 40, (5, 700)).astype(np.float32)
    values[:, 3], values[2, :600] = -np.inf, -np.inf
    shift = values.astype(np.float64).max(axis=axis, keepdims=True)
    shift[np.isneginf(shift)] = 0
    with np.errstate(divide="ignore"):
        expected = shift + np.log(np.exp(values - shift).sum(axis=axis, keepdims=True))
    found = log_sum_exp(values, axis=axis)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
