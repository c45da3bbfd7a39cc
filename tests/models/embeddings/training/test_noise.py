"""The alias table stands for the noise distribution exactly, not just on average."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.training.noise import AliasTable, alias_table, noise_distribution
from dragoman_models.embeddings.training.subsampling import keep_probabilities, keep_thresholds


def probabilities_of(table: AliasTable) -> list[float]:
    """What the table gives each word: its own column's part, and what other columns pass on."""
    size = len(table.thresholds)
    result = np.zeros(size)
    for column in range(size):
        own = float(table.thresholds[column]) / 2**32
        result[column] += own / size
        result[table.alternatives[column]] += (1 - own) / size
    return result.tolist()


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=80))
def test_alias_table_gives_every_word_its_probability(counts: list[int]) -> None:
    expected = noise_distribution(np.array(counts))
    found = probabilities_of(alias_table(expected))
    np.testing.assert_allclose(found, expected, atol=2.0**-31)


def test_noise_is_by_count_to_the_three_quarters() -> None:
    found = noise_distribution(np.array([16, 1]))
    np.testing.assert_allclose(found, [8 / 9, 1 / 9])


def test_subsampling_follows_its_formula() -> None:
    counts = np.array([90_000, 1_000, 10])
    kept = keep_probabilities(counts, 1_000_000, 1e-3)
    ratios = np.array([1e-3 / 0.09, 1e-3 / 1e-3, 1e-3 / 1e-5])
    np.testing.assert_allclose(kept, np.minimum(1, np.sqrt(ratios) + ratios))
    assert keep_probabilities(counts, 1_000_000, 0).tolist() == [1, 1, 1]


def test_a_word_that_is_always_kept_passes_all_32_random_bits() -> None:
    assert keep_thresholds(np.array([1.0, 0.5])).tolist() == [2**32, 2**31]
