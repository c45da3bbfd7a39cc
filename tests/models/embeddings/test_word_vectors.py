"""Word vectors against float64 references, and each bad item answered by an error of its own."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.embeddings.word_lookup import WordLookup, WordMatch
from dragoman_models.embeddings.word_queries import (
    AnalogyMethod,
    AnalogyQuestion,
    EmbeddedWord,
    Neighbors,
    SearchOptions,
    WeightedWord,
    WeightedWords,
    WordSimilarity,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import DragomanError, InvalidInputError, UnknownWordError
from dragoman_models.vocabulary import Vocabulary

WORDS = ["the", "paris", "Zürich", "東京", "naïve", "🙂", "a b", "e\u0301", "\u200f", "zero", "up"]
MATRIX = np.random.default_rng(1).standard_normal((len(WORDS), 4)).astype(np.float32)
MATRIX[WORDS.index("zero")] = 0
VECTORS = WordVectors(Vocabulary(WORDS), MATRIX)
ALL = SearchOptions(k=len(WORDS))


def random_vectors(seed: int, size: int = 50, dimensions: int = 8) -> WordVectors:
    matrix = np.random.default_rng(seed).standard_normal((size, dimensions)).astype(np.float32)
    return WordVectors(Vocabulary([f"w{i}" for i in range(size)]), matrix)


def units(vectors: WordVectors) -> NDArray[np.float64]:
    matrix = vectors.index.matrix.astype(np.float64)
    result: NDArray[np.float64] = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return result


def names(answer: Neighbors | DragomanError) -> list[str]:
    assert isinstance(answer, Neighbors), answer
    return [neighbor.word for neighbor in answer.neighbors]


def field_of(answer: object) -> str:
    assert isinstance(answer, InvalidInputError), answer
    (violation,) = answer.violations
    return violation.field


# --- Lookup -------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_found_as_it_is_written(word: str) -> None:
    found = VECTORS.resolve(word) if word.strip() else None
    assert found is not None
    assert (found.matched_word, found.match) == (word, WordMatch.EXACT)
    assert found.rank == WORDS.index(word) + 1


def test_another_case_is_the_only_fallback_and_it_is_stated() -> None:
    found = VECTORS.resolve("PARIS")
    assert (found.query, found.matched_word) == ("PARIS", "paris")
    assert (found.match, found.rank) == (WordMatch.IGNORING_CASE, 2)
    with pytest.raises(UnknownWordError):
        VECTORS.resolve("Paris", WordLookup.EXACT)
    # Neither accents, nor composed characters, nor spaces are tried.
    for word in ("zurich", "naive", "\u00e9", " paris", "paris ", "pari"):
        with pytest.raises(UnknownWordError) as caught:
            VECTORS.resolve(word)
        assert caught.value.resource_name == word


@pytest.mark.parametrize("word", ["", " ", "\t\n", "\u3000", "x" * 1_001, "🙂" * 100_000])
def test_a_blank_or_huge_word_is_invalid(word: str) -> None:
    assert field_of(VECTORS.embed([word])[0]) == "word"


@pytest.mark.parametrize("word", ["qwxz", "nul\0", "\ud800", "\u202eparis", "x" * 1_000])
def test_an_unknown_word_says_so_in_printable_text(word: str) -> None:
    (answer,) = VECTORS.embed([word])
    assert isinstance(answer, UnknownWordError)
    assert str(answer).isprintable()


# --- Embed and similarity -----------------------------------------------------------------------


def test_embed_gives_the_rows_and_one_error_for_each_bad_word() -> None:
    answers = VECTORS.embed(["東京", "nowhere", "", "Paris"])
    assert [type(answer) for answer in answers] == [
        EmbeddedWord, UnknownWordError, InvalidInputError, EmbeddedWord,
    ]  # fmt: skip
    for answer, word in ((answers[0], "東京"), (answers[3], "paris")):
        assert isinstance(answer, EmbeddedWord)
        assert answer.word.matched_word == word
        np.testing.assert_array_equal(answer.vector, MATRIX[WORDS.index(word)])


def test_the_answers_vector_is_the_callers_own() -> None:
    (answer,) = VECTORS.embed(["the"])
    assert isinstance(answer, EmbeddedWord)
    answer.vector[:] = 7
    assert not (MATRIX[0] == 7).any()


def test_normalized_vectors_have_length_1() -> None:
    for answer in VECTORS.embed([w for w in WORDS if w != "zero"], normalize=True):
        assert isinstance(answer, EmbeddedWord)
        assert answer.vector.dtype == np.float32
        assert np.linalg.norm(answer.vector) == pytest.approx(1, abs=1e-6)
    assert field_of(VECTORS.embed(["zero"], normalize=True)[0]) == "word"
    (zero,) = VECTORS.embed(["zero"])
    assert isinstance(zero, EmbeddedWord)
    assert not zero.vector.any()


@given(st.integers(0, 2**32 - 1))
def test_similarity_is_the_cosine(seed: int) -> None:
    vectors = random_vectors(seed, size=6)
    reference = units(vectors) @ units(vectors).T
    for i, j in itertools.product(range(6), repeat=2):
        (answer,) = vectors.similarity([(f"w{i}", f"w{j}")])
        assert isinstance(answer, WordSimilarity)
        assert answer.cosine == pytest.approx(reference[i, j], abs=1e-12)
        assert -1 <= answer.cosine <= 1


def test_similarity_errors_name_the_word() -> None:
    answers = VECTORS.similarity([("the", " "), ("", "the"), ("zero", "up"), ("up", "zero")])
    assert [field_of(answer) for answer in answers] == ["second", "first", "first", "second"]
    (unknown,) = VECTORS.similarity([("the", "qwxz")])
    assert isinstance(unknown, UnknownWordError)


# --- Nearest ------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_nearest_equals_a_float64_reference(seed: int, k: int) -> None:
    vectors = random_vectors(seed)
    cosines = units(vectors) @ units(vectors).T
    np.fill_diagonal(cosines, -np.inf)
    answers = vectors.nearest([f"w{i}" for i in range(50)], SearchOptions(k=k))
    for row, answer in enumerate(answers):
        expected = np.argsort(-cosines[row], kind="stable")[: min(k, 49)]
        assert names(answer) == [f"w{i}" for i in expected]
        assert isinstance(answer, Neighbors)
        assert [n.rank - 1 for n in answer.neighbors] == expected.tolist()
        scores = [n.score for n in answer.neighbors]
        np.testing.assert_allclose(scores, cosines[row, expected], atol=1e-12)


def test_a_word_its_vector_and_its_weighted_sum_ask_the_same() -> None:
    row = MATRIX[WORDS.index("paris")]
    options = SearchOptions(k=5, include_query_words=True)
    weighted = WeightedWords(words=(WeightedWord(word="Paris", weight=2.5),))
    by_word, by_vector, by_sum = VECTORS.nearest(["Paris", row * 1e30, weighted], options)
    assert names(by_word) == names(by_vector) == names(by_sum)
    assert names(by_word)[0] == "paris"
    assert isinstance(by_vector, Neighbors)
    assert by_vector.query_words == ()


def test_weighted_sums_add_unit_vectors() -> None:
    query = WeightedWords(
        words=(WeightedWord(word="up", weight=2), WeightedWord(word="the", weight=-0.5))
    )
    by_hand = 2 * _unit(WORDS.index("up")) - 0.5 * _unit(0)
    by_sum, by_vector = VECTORS.nearest(
        [query, by_hand], SearchOptions(k=11, include_query_words=True)
    )
    assert names(by_sum) == names(by_vector)
    (left_out,) = VECTORS.nearest([query], ALL)
    assert names(left_out) == [name for name in names(by_sum) if name not in ("up", "the")]


def _unit(row: int) -> NDArray[np.float64]:
    vector = MATRIX[row].astype(np.float64)
    result: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return result


def test_options_only_leave_words_out() -> None:
    (everything,) = VECTORS.nearest(["up"], ALL)
    assert sorted(names(everything)) == sorted(set(WORDS) - {"up", "zero"})
    (excluded,) = VECTORS.nearest(
        ["up"], SearchOptions(k=3, excluded_words=(*names(everything)[:2], "not there"))
    )
    assert names(excluded) == names(everything)[2:5]
    (ranked,) = VECTORS.nearest(["up"], SearchOptions(k=9, max_rank=4))
    assert names(ranked) == [name for name in names(everything) if WORDS.index(name) < 4]
    (scored,) = VECTORS.nearest(["up"], SearchOptions(k=9, min_score=0.2))
    assert isinstance(everything, Neighbors)
    assert names(scored) == [n.word for n in everything.neighbors if n.score >= 0.2]


def test_excluding_many_words_still_fills_the_answer() -> None:
    vectors = random_vectors(2, size=400)
    (everything,) = vectors.nearest(["w0"], SearchOptions(k=399))
    gone = tuple(names(everything)[:300])
    (rest,) = vectors.nearest(["w0"], SearchOptions(k=5, excluded_words=gone))
    assert names(rest) == names(everything)[300:305]


def test_each_bad_query_has_its_own_error() -> None:
    good = np.ones(4)
    bad: list[Any] = [
        "", "qwxz", "zero", np.zeros(4), good * np.nan, good * np.inf, np.ones(5), np.ones((1, 4)),
        np.ones(0), WeightedWords(words=()), WeightedWords(words=(WeightedWord(word=" "),)),
        WeightedWords(words=(WeightedWord(word="up", weight=float("nan")),)),
        WeightedWords(words=(WeightedWord(word="up"), WeightedWord(word="up", weight=-1))),
    ]  # fmt: skip
    answers = VECTORS.nearest([*bad, "up"], SearchOptions(k=2))
    assert isinstance(answers[1], UnknownWordError)
    fields = [field_of(answer) for answer in [answers[0], *answers[2:-1]]]
    assert fields == [
        "word", "word", *["vector"] * 6, "weighted_words.words", "weighted_words.words[0].word",
        "weighted_words.words[0].weight", "weighted_words",
    ]  # fmt: skip
    assert names(answers[-1]) == names(VECTORS.nearest(["up"], SearchOptions(k=2))[0])


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (SearchOptions(k=0), ["k"]),
        (SearchOptions(k=-1), ["k"]),
        (SearchOptions(k=len(WORDS) + 1), ["k"]),
        (SearchOptions(k=1, max_rank=0), ["max_rank"]),
        (SearchOptions(k=1, min_score=float("nan")), ["min_score"]),
        (SearchOptions(k=0, max_rank=-3, min_score=float("inf")), ["k", "max_rank", "min_score"]),
    ],
)
def test_wrong_options_name_their_fields(options: SearchOptions, fields: list[str]) -> None:
    question = AnalogyQuestion(a="up", b="the", c="paris")
    with pytest.raises(InvalidInputError) as of_nearest:
        VECTORS.nearest(["up"], options)
    with pytest.raises(InvalidInputError) as of_analogy:
        VECTORS.analogy([question], options)
    for caught in (of_nearest, of_analogy):
        assert [violation.field for violation in caught.value.violations] == fields


def test_nothing_asked_is_nothing_answered() -> None:
    assert VECTORS.embed([]) == []
    assert VECTORS.similarity([]) == []
    assert VECTORS.nearest([], ALL) == []
    assert VECTORS.analogy([], ALL) == []


# --- Analogy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", AnalogyMethod)
@given(seed=st.integers(0, 2**32 - 1))
def test_analogy_equals_its_equation(method: AnalogyMethod, seed: int) -> None:
    vectors = random_vectors(seed)
    unit = units(vectors)
    rng = np.random.default_rng(seed)
    triples = [rng.choice(50, size=3, replace=False).tolist() for _ in range(20)]
    questions = [AnalogyQuestion(a=f"w{a}", b=f"w{b}", c=f"w{c}") for a, b, c in triples]
    answers = vectors.analogy(questions, SearchOptions(k=4), method)
    for (a, b, c), answer in zip(triples, answers, strict=True):
        if method is AnalogyMethod.THREE_COS_ADD:
            target = unit[b] - unit[a] + unit[c]
            scores = unit @ target / np.linalg.norm(target)
        else:
            near = (unit @ unit[[a, b, c]].T + 1) / 2
            scores = near[:, 1] * near[:, 2] / (near[:, 0] + 0.001)
        reference = scores.copy()
        scores[[a, b, c]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:4]
        assert names(answer) == [f"w{i}" for i in best]
        assert isinstance(answer, Neighbors)
        np.testing.assert_allclose(
            [n.score for n in answer.neighbors], reference[best], rtol=1e-9, atol=1e-12
        )
        assert [word.query for word in answer.query_words] == [f"w{a}", f"w{b}", f"w{c}"]


def test_the_three_words_are_left_out_in_the_case_that_was_found() -> None:
    question = AnalogyQuestion(a="PARIS", b="The", c="UP")
    (answer,) = VECTORS.analogy([question], ALL)
    assert not {"paris", "the", "up"} & set(names(answer))
    (included,) = VECTORS.analogy([question], SearchOptions(k=11, include_query_words=True))
    assert {"paris", "the", "up"} <= set(names(included))


@pytest.mark.parametrize("method", AnalogyMethod)
def test_each_bad_question_has_its_own_error(method: AnalogyMethod) -> None:
    good = AnalogyQuestion(a="up", b="the", c="paris")
    bad = [
        AnalogyQuestion(a="", b="the", c="paris"),
        AnalogyQuestion(a="up", b="zero", c="paris"),
        AnalogyQuestion(a="up", b="the", c=" "),
    ]
    answers = VECTORS.analogy([*bad, good], SearchOptions(k=1), method)
    assert [field_of(answer) for answer in answers[:3]] == ["a", "b", "c"]
    assert answers[3] == VECTORS.analogy([good], SearchOptions(k=1), method)[0]


def test_sums_that_cancel_have_no_direction() -> None:
    """Three unit vectors at 60 degrees: b + c is a, but for the rounding of float32."""
    root = np.sqrt(3)
    matrix = np.array([[1, 0], [1, root], [1, -root], [0, 1]], dtype=np.float32)
    vectors = WordVectors(Vocabulary(["a", "b", "c", "d"]), matrix)
    (answer,) = vectors.analogy([AnalogyQuestion(a="a", b="b", c="c")], SearchOptions(k=1))
    assert field_of(answer) == "c"
    terms = [WeightedWord(word="b"), WeightedWord(word="c"), WeightedWord(word="a", weight=-1)]
    for words, weight in ((terms, 1.0), (terms[:1], 0.0), (terms[:1], 1e-300), (terms, 1e308)):
        scaled = [WeightedWord(word=t.word, weight=weight * t.weight) for t in words]
        (answer,) = vectors.nearest([WeightedWords(words=tuple(scaled))], SearchOptions(k=1))
        if weight == 1e-300:  # Small, but not cancelled.
            assert names(answer) == ["d"]
        else:
            assert field_of(answer) == "weighted_words"


# --- Construction -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones((2, 3), np.float32), np.ones((3, 0), np.float32), np.ones(3, np.float32),
        np.ones((3, 3), np.float64), np.full((3, 3), np.nan, np.float32),
    ],
)  # fmt: skip
def test_a_matrix_that_does_not_fit_is_refused(matrix: Any) -> None:
    with pytest.raises(ValueError, match=r"vectors|row"):
        WordVectors(Vocabulary(["a", "b", "c"]), matrix)
