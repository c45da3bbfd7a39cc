"""Test sets are measured one by one, each with its figures or its own error."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.embeddings.evaluation import SimilarityJudgement
from dragoman_models.embeddings.word_lookup import WordLookup
from dragoman_models.embeddings.word_queries import AnalogyMethod
from dragoman_models.embeddings.word_test_sets import (
    JudgedPairs,
    SolvedAnalogies,
    WordTestSet,
    WordTestSetOptions,
    WordTestSetScore,
    check_test_sets,
    evaluate_test_sets,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import (
    DragomanError,
    InvalidInputError,
    TooFewKnownError,
    WorkCancelledError,
)
from dragoman_models.vocabulary import Vocabulary

SIZE = 60
MATRIX = np.random.default_rng(2).standard_normal((SIZE, 6)).astype(np.float32)
VECTORS = WordVectors(Vocabulary([f"w{i}" for i in range(SIZE)]), MATRIX)
UNITS = MATRIX.astype(np.float64) / np.linalg.norm(MATRIX.astype(np.float64), axis=1, keepdims=True)
rows = st.integers(0, SIZE - 1)


def judged(*pairs: tuple[str, str, float], name: str = "pairs") -> JudgedPairs:
    made = [SimilarityJudgement(first=a, second=b, score=score) for a, b, score in pairs]
    return JudgedPairs(name=name, pairs=tuple(made))


def solved(*analogies: tuple[str, str, str, str]) -> SolvedAnalogies:
    return SolvedAnalogies(name="analogies", analogies=analogies)


def evaluate(*sets: WordTestSet, **options: object) -> list[WordTestSetScore | DragomanError]:
    done: list[int] = []
    chosen = WordTestSetOptions(**options)  # type: ignore[arg-type]
    results = evaluate_test_sets(VECTORS, sets, chosen, done.append)
    assert sum(done) == sum(map(len, sets))
    return results


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """By definition: the values below, and the middle of the equal ones."""
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return np.array(below) + (np.array(equal) + 1) / 2


@given(st.lists(st.tuples(rows, rows, st.integers(0, 5)), min_size=5, max_size=40))
def test_spearman_is_the_correlation_of_ranks_of_the_known_pairs(
    items: list[tuple[int, int, int]],
) -> None:
    pairs = [(f"w{a}", f"W{b}", float(score)) for a, b, score in items]
    unknown = [("w0", "unknown", 3.0), ("nowhere", "w1", 1.0)]
    (result,) = evaluate(judged(*pairs, *unknown))
    cosines = [float(UNITS[a] @ UNITS[b]) for a, b, _ in items]
    # Pairs of a word with itself have the cosine 1 exactly, and then a tie.
    cosines = [1.0 if a == b else c for (a, b, _), c in zip(items, cosines, strict=True)]
    scores = [score for *_, score in items]
    if len(set(scores)) == 1 or len(set(cosines)) == 1:
        assert isinstance(result, InvalidInputError)
        return
    assert isinstance(result, WordTestSetScore)
    assert (result.items, result.covered) == (len(items) + 2, len(items))
    expected = np.corrcoef(ranks(cosines), ranks(scores))[0, 1]
    assert result.spearman == pytest.approx(float(expected))


@given(st.lists(st.tuples(rows, rows, rows), min_size=1, max_size=12), st.integers(5, SIZE))
def test_accuracy_is_that_of_brute_force(
    questions: list[tuple[int, int, int]], max_rank: int
) -> None:
    questions = [one for one in questions if len(set(one)) == 3] or [(0, 1, 2)]
    answers = []
    for a, b, c in questions:
        scores = UNITS[:max_rank] @ (UNITS[b] - UNITS[a] + UNITS[c])
        scores[[row for row in (a, b, c) if row < max_rank]] = -np.inf
        answers.append(int(scores.argmax()))
    # Every other answer is made wrong.
    given_answers = [d if i % 2 == 0 else (d + 1) % SIZE for i, d in enumerate(answers)]
    items = [
        (f"w{a}", f"w{b}", f"w{c}", f"w{d}")
        for (a, b, c), d in zip(questions, given_answers, strict=True)
    ]
    (result,) = evaluate(solved(*items, ("w0", "w1", "w2", "unknown")), max_rank=max_rank)
    assert isinstance(result, WordTestSetScore)
    assert (result.items, result.covered) == (len(items) + 1, len(items))
    assert result.accuracy == pytest.approx(((len(items) + 1) // 2) / len(items))


def test_a_set_that_gives_no_figure_has_its_own_error() -> None:
    results = evaluate(
        judged(("w1", "zzz", 1.0), ("yyy", "w2", 2.0)),
        solved(("zzz", "w1", "w2", "w3")),
        judged(("w1", "w2", 3.0), ("w3", "w4", 3.0)),
        judged(("w1", "w2", 3.0), ("w3", "w4", 4.0)),
    )
    assert [type(result) for result in results] == [
        TooFewKnownError, TooFewKnownError, InvalidInputError, WordTestSetScore,
    ]  # fmt: skip


def test_the_options_are_obeyed() -> None:
    analogies = solved(("W1", "W2", "W3", "W4"))
    assert isinstance(evaluate(analogies, lookup=WordLookup.EXACT)[0], TooFewKnownError)
    by_product = evaluate(analogies, method=AnalogyMethod.THREE_COS_MUL)[0]
    assert isinstance(by_product, WordTestSetScore)
    with pytest.raises(InvalidInputError, match="max_rank: is 0"):
        evaluate_test_sets(VECTORS, [analogies], WordTestSetOptions(max_rank=0), lambda _: None)


def test_what_counts_may_stop_the_work() -> None:
    def stop(_: int) -> None:
        raise WorkCancelledError

    for one in (judged(*[("w1", "w2", 1.0)] * 3), solved(("w1", "w2", "w3", "w4"))):
        with pytest.raises(WorkCancelledError):
            evaluate_test_sets(VECTORS, [one], WordTestSetOptions(), stop)


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (judged(), "[1].judged_pairs.pairs"),
        (judged(("a", "b", 1.0)), "[1].judged_pairs.pairs"),
        (judged(("a", " ", 1.0), ("a", "b", 1.0)), "[1].judged_pairs.pairs[0].second"),
        (judged(("a", "b", 1.0), ("x" * 1001, "b", 1.0)), "[1].judged_pairs.pairs[1].first"),
        (judged(("a", "b", 1.0), ("a", "b", float("nan"))), "[1].judged_pairs.pairs[1].judgement"),
        (judged(("a", "b", float("-inf")), ("a", "b", 1)), "[1].judged_pairs.pairs[0].judgement"),
        (solved(), "[1].solved_analogies.analogies"),
        (solved(("a", "b", "", "d")), "[1].solved_analogies.analogies[0].c"),
    ],
)
def test_a_wrong_item_is_named(one: WordTestSet, field: str) -> None:
    good = solved(("a", "b", "c", "d"))
    check_test_sets([good])
    with pytest.raises(InvalidInputError) as caught:
        check_test_sets([good, one])
    assert [violation.field for violation in caught.value.violations] == [field]


def test_of_many_wrong_items_the_first_are_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_test_sets([judged(*[("", "", 1.0)] * 50), solved(*[("", "b", "c", "d")] * 50)])
    assert len(caught.value.violations) == 6
