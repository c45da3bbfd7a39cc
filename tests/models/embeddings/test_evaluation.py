"""Evaluation against counts and correlations worked out by hand or by definition."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dragoman_models.embeddings.evaluation import (
    average_ranks,
    evaluate_analogies,
    evaluate_similarities,
    parse_analogies,
    parse_similarities,
    spearman,
)
from dragoman_models.embeddings.word_queries import AnalogyMethod
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import InvalidInputError
from dragoman_models.vocabulary import Vocabulary

# One axis for royalty, one for sex: king - man + woman is queen exactly.
ROYAL = WordVectors(
    Vocabulary(["man", "woman", "king", "queen", "apple"]),
    np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [-1, -1, 0]], dtype=np.float32),
)
QUESTIONS = """\
: family
man king woman queen
Man Queen Woman apple
: capital-world
Athens Greece Oslo Norway
woman queen man king
: empty
"""
series = hnp.arrays(np.float64, st.integers(2, 30), elements=st.sampled_from([0.0, 1, 2, 3, 1e9]))


@pytest.mark.parametrize("method", AnalogyMethod)
def test_accuracy_counts_covered_questions_by_section(method: AnalogyMethod) -> None:
    result = evaluate_analogies(ROYAL, parse_analogies(QUESTIONS), method)
    assert list(result.sections) == ["family", "capital-world"]
    family, capitals = result.sections.values()
    assert (family.questions, family.covered, family.correct) == (2, 2, 1)
    assert (capitals.questions, capitals.covered, capitals.correct) == (2, 1, 1)
    assert (result.total.questions, result.total.covered, result.total.correct) == (4, 3, 2)
    assert result.total.accuracy == pytest.approx(2 / 3)
    assert result.total.coverage == pytest.approx(3 / 4)


def test_no_covered_question_is_no_accuracy() -> None:
    result = evaluate_analogies(ROYAL, parse_analogies("a b c d"))
    assert (result.total.accuracy, result.total.coverage) == (0, 0)
    assert evaluate_analogies(ROYAL, []).total.coverage == 0


def test_questions_are_folded_to_lowercase() -> None:
    (item,) = parse_analogies(": s\nAthens Greece OSLO Norway\n")
    assert (item.section, item.question.a, item.question.c) == ("s", "athens", "oslo")
    assert item.answer == "norway"


def test_a_wrong_question_is_named_by_its_line() -> None:
    with pytest.raises(InvalidInputError, match="line 3: holds 3 words"):
        parse_analogies(": s\na b c d\na b c\n")


def test_similarities_are_read_with_tabs_or_spaces() -> None:
    first, second = parse_similarities("# a comment\nold\tnew\t1.58\r\n\nsun sunlight 50\n")
    assert (first.first, first.second, first.score) == ("old", "new", 1.58)
    assert (second.first, second.second, second.score) == ("sun", "sunlight", 50)


@pytest.mark.parametrize("line", ["old new", "old new high", "old new 1 2"])
def test_a_wrong_judgement_is_named_by_its_line(line: str) -> None:
    with pytest.raises(InvalidInputError, match="line 2: is not two words and a number"):
        parse_similarities(f"a b 1\n{line}\n")


def test_similarity_covers_known_pairs_only() -> None:
    judgements = parse_similarities("man KING 3\nman queen 2\nman apple 1\nman qwxz 9\n")
    result = evaluate_similarities(ROYAL, judgements)
    assert (result.pairs, result.covered) == (4, 3)
    assert result.spearman == pytest.approx(1)


def test_a_correlation_needs_two_pairs() -> None:
    with pytest.raises(InvalidInputError, match="needs at least 2"):
        evaluate_similarities(ROYAL, parse_similarities("man king 1\n"))


@given(series)
def test_ranks_are_as_defined(values: NDArray[np.float64]) -> None:
    """The rank of a value: how many are below it, plus the middle of those that equal it."""
    expected = [(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]
    np.testing.assert_array_equal(average_ranks(values), expected)


@given(series, st.integers(0, 2**32 - 1))
def test_spearman_is_the_correlation_of_ranks(values: NDArray[np.float64], seed: int) -> None:
    other = np.random.default_rng(seed).permutation(values)
    assume(len(set(values)) > 1)
    expected = np.corrcoef(average_ranks(values), average_ranks(other))[0, 1]
    assert spearman(values, other) == pytest.approx(expected, abs=1e-12)
    assert spearman(values, values) == pytest.approx(1)
    assert spearman(values, -values) == pytest.approx(-1)
    assert spearman(values, np.exp(np.minimum(values, 10))) == pytest.approx(
        spearman(values, np.minimum(values, 10))
    )


def test_spearman_without_ties_equals_its_classic_formula() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.permutation(40).astype(float), rng.permutation(40).astype(float)
    classic = 1 - 6 * np.square(first - second).sum() / (40 * (40**2 - 1))
    assert spearman(first, second) == pytest.approx(classic)


def test_a_constant_series_has_no_correlation() -> None:
    assert math.isnan(spearman(np.ones(3), np.arange(3.0)))
