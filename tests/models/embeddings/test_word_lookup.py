"""Words in another case, words of subwords, and suggestions by a reference edit distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.subwords import SubwordVectors, ngram_hash
from dragoman_models.embeddings.word_lookup import VocabularyLookup, WordLookup, WordMatch
from dragoman_models.embeddings.word_queries import EmbeddedWord, Neighbors
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import InvalidInputError, UnknownWordError
from dragoman_models.vocabulary import Vocabulary


def edits(a: str, b: str) -> int:
    """Optimal string alignment distance, by its recurrence."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (a[i - 1] != b[j - 1]),
            )
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a), len(b)]


@given(
    st.lists(st.text("abcé", min_size=1, max_size=6), min_size=1, max_size=20, unique=True),
    st.text("abcé", min_size=1, max_size=6),
)
def test_suggestions_are_the_nearest_by_edits(words: list[str], word: str) -> None:
    distances = sorted((edits(word, other), i) for i, other in enumerate(words))
    most = min(2, len(word) // 2)
    expected = [words[i] for distance, i in distances if distance <= most][:5]
    lookup = VocabularyLookup(Vocabulary(words), has_subwords=False)
    assert list(lookup.suggestions(word)) == expected


def test_the_most_frequent_case_is_found() -> None:
    lookup = VocabularyLookup(Vocabulary(["PARIS", "Paris", "us", "US"]), has_subwords=False)
    found = lookup.resolve("paris", WordLookup.CASE_FALLBACK, field="word")
    assert (found.matched_word, found.match) == ("PARIS", WordMatch.IGNORING_CASE)
    assert lookup.resolve("Us", WordLookup.CASE_FALLBACK, field="word").matched_word == "us"
    assert lookup.resolve("US", WordLookup.CASE_FALLBACK, field="word").match is WordMatch.EXACT
    with pytest.raises(UnknownWordError):
        lookup.resolve("paris", WordLookup.EXACT, field="word")


def subword_model() -> WordVectors:
    rng = np.random.default_rng(1)
    table = rng.standard_normal((50, 4)).astype(np.float32)
    subwords = SubwordVectors(shortest=3, longest=4, codes=table, scales=None)
    matrix = rng.standard_normal((30, 4)).astype(np.float32)
    return WordVectors(Vocabulary([f"w{i}" for i in range(30)]), matrix, subwords=subwords)


def test_an_unknown_word_is_the_mean_of_its_subwords() -> None:
    model = subword_model()
    assert model.subwords is not None
    (found, exact) = model.embed(["abc", "W3"])
    assert isinstance(found, EmbeddedWord)
    assert isinstance(exact, EmbeddedWord)
    grams = ["<ab", "<abc", "abc", "abc>", "bc>"]
    rows = [ngram_hash(gram) % 50 for gram in grams]
    expected = model.subwords.codes[rows].mean(axis=0)
    np.testing.assert_allclose(found.vector, expected, rtol=1e-5)
    assert (found.word.match, found.word.rank) == (WordMatch.SUBWORDS, 0)
    assert exact.word.match is WordMatch.IGNORING_CASE
    (answer,) = model.nearest(["abc"])
    assert isinstance(answer, Neighbors)
    assert len(answer.neighbors) == 10
    (refused,) = model.embed(["abc"], lookup=WordLookup.EXACT)
    assert isinstance(refused, UnknownWordError)


def test_a_vector_of_no_direction_is_named() -> None:
    table = np.zeros((5, 2), np.float32)
    subwords = SubwordVectors(shortest=3, longest=3, codes=table, scales=None)
    model = WordVectors(Vocabulary(["a"]), np.ones((1, 2), np.float32), subwords=subwords)
    (refused,) = model.embed(["unknown"], normalize=True)
    assert isinstance(refused, InvalidInputError)
    with pytest.raises(ValueError, match="subwords of 2 numbers do not fit"):
        WordVectors(Vocabulary(["a"]), np.ones((1, 3), np.float32), subwords=subwords)
