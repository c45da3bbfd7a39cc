"""Divisors are those of the papers, and never fall as hypotheses grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.search.length_normalization import LengthNormalization


@pytest.mark.parametrize(
    ("normalization", "length", "alpha", "divisor"),
    [
        (LengthNormalization.NONE, 9, 1.0, 1.0),
        (LengthNormalization.AVERAGE, 9, 0.3, 9.0),
        (LengthNormalization.WU, 1, 0.7, 1.0),  # (5 + 1) / (5 + 1)
        (LengthNormalization.WU, 7, 1.0, 2.0),
        (LengthNormalization.WU, 19, 0.5, 2.0),
        (LengthNormalization.WU, 7, 0.0, 1.0),
    ],
)
def test_divisor(
    normalization: LengthNormalization, length: int, alpha: float, divisor: float
) -> None:
    assert normalization.divisor(length, alpha) == pytest.approx(divisor, rel=1e-12)


@given(st.sampled_from(LengthNormalization), st.integers(1, 10_000), st.floats(0, 10))
def test_divisor_never_falls_with_length(
    normalization: LengthNormalization, length: int, alpha: float
) -> None:
    shorter, longer = (normalization.divisor(n, alpha) for n in (length, length + 1))
    assert 1.0 <= shorter <= longer
