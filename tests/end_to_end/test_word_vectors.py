"""The word-vector API through the real server, clients and command, on the shipped vectors."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dragoman_client import (
    AnalogyMethod,
    AsyncClient,
    Client,
    EvaluationProgress,
    InvalidRequestError,
    JudgedPairs,
    Neighbors,
    NotFoundError,
    SearchMethod,
    SearchOptions,
    SolvedAnalogies,
    TooFewKnownError,
    VectorQuery,
    WeightedWords,
    WordVector,
    WordVectorScore,
)

FREQUENT = 3_000


def words_of(answer: object) -> list[str]:
    assert isinstance(answer, Neighbors), answer
    return [neighbor.word for neighbor in answer.neighbors]


def units(client: Client, words: list[str]) -> np.ndarray:
    """Unit vectors of words in float64, (words, dimensions), by the stream."""
    found = list(client.embed_stream(words))
    rows = np.array([one.values for one in found if isinstance(one, WordVector)], np.float64)
    assert len(rows) == len(words)
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def test_filtered_searches_equal_brute_force_over_streamed_vectors(client: Client) -> None:
    options = SearchOptions(k=FREQUENT, max_rank=FREQUENT, include_query_words=True)
    # The whole vocabulary up to a rank: as many words as asked for, where they are not left out.
    query = VectorQuery(values=client.embed("the").values)
    vocabulary: list[str] = [""] * FREQUENT
    for start in range(0, FREQUENT, 1_000):
        # k is at most 1,000, so the rest is excluded.
        known = [word for word in vocabulary if word]
        chosen = SearchOptions(k=1_000, max_rank=FREQUENT, excluded_words=known)
        found = client.nearest(query, options=chosen).neighbors
        assert len(found) == min(1_000, FREQUENT - start)
        for neighbor in found:
            assert not vocabulary[neighbor.rank - 1]
            vocabulary[neighbor.rank - 1] = neighbor.word
    rows = units(client, vocabulary)
    king, man, woman = (vocabulary.index(word) for word in ("king", "man", "woman"))
    options = SearchOptions(k=20, max_rank=FREQUENT, min_score=0.3, excluded_words=["queen"])
    total = rows[king] - 0.5 * rows[man] + rows[woman]
    scores = rows @ (total / np.linalg.norm(total))
    scores[[king, man, woman, vocabulary.index("queen")]] = -1
    expected = [row for row in np.argsort(-scores)[:20] if scores[row] >= 0.3]
    weights = {"king": 1.0, "man": -0.5, "woman": 1.0}
    found = client.nearest(WeightedWords.from_weights(weights), options=options).neighbors
    assert [one.word for one in found] == [vocabulary[row] for row in expected]
    assert [one.score for one in found] == pytest.approx(scores[expected].tolist(), abs=1e-5)


def test_an_analogy_is_a_weighted_sum(client: Client) -> None:
    for a, b, c in (
        ("man", "king", "woman"),
        ("paris", "france", "rome"),
        ("big", "bigger", "old"),
    ):
        total = WeightedWords.of([b, c], minus=[a])
        assert words_of(client.nearest(total)) == words_of(client.analogy(a, b, c))
        product = client.analogy(a, b, c, method=AnalogyMethod.THREE_COS_MUL)
        assert product.neighbors[0].word in words_of(client.nearest(total))


def test_streams_answer_as_the_single_calls_do(client: Client) -> None:
    queries: list[Any] = ["river", "Paris", "xyzzyq", VectorQuery(values=[1.0] * 100), " "]
    options = SearchOptions(k=4)
    single = client.nearest(queries, options=options)
    for size in (1, 2, 64):
        streamed = list(client.nearest_stream(queries, options=options, batch_size=size))
        good = [one for one in streamed if isinstance(one, Neighbors)]
        assert good == [one for one in single if isinstance(one, Neighbors)]
        assert [type(one) for one in streamed] == [type(one) for one in single]


def test_a_long_stream_of_each_client_is_answered_whole(client: Client) -> None:
    words = ["king", "queen", "xyzzyq"]

    def many() -> Iterator[str]:
        return itertools.islice(itertools.cycle(words), 9_001)

    async def many_later() -> AsyncIterator[str]:
        for word in many():
            yield word

    async def run() -> list[Any]:
        async with AsyncClient(client.address) as later:
            return [answer async for answer in later.embed_stream(many_later())]

    for answers in (list(client.embed_stream(many())), asyncio.run(run())):
        found = [one.word.word if isinstance(one, WordVector) else None for one in answers]
        assert found == list(itertools.islice(itertools.cycle(["king", "queen", None]), 9_001))


def test_an_endless_stream_that_is_given_up_leaves_the_server_well(client: Client) -> None:
    for _ in range(5):
        answers = client.nearest_stream(itertools.repeat("river"))
        assert words_of(next(answers))[0] == "rivers"
        answers.close()  # type: ignore[attr-defined]
    assert client.nearest("river").method is SearchMethod.EXACT


def test_what_cannot_be_searched_for_says_why(client: Client) -> None:
    with pytest.raises(NotFoundError, match="did you mean") as unknown:
        client.nearest("kinng")
    assert "king" in unknown.value.suggestions
    for query, field in (
        (VectorQuery(values=[1.0]), "queries[0].vector"),
        (VectorQuery(values=[math.nan] * 100), "queries[0].vector"),
        (WeightedWords.of(["king"], ["king"]), "queries[0].weighted_words"),
        (WeightedWords(terms=()), "queries[0].weighted_words.words"),
    ):
        with pytest.raises(InvalidRequestError) as wrong:
            client.nearest(query)
        assert [violation.field for violation in wrong.value.violations] == [field]
    with pytest.raises(InvalidRequestError, match="no index"):
        client.nearest("king", options=SearchOptions(method=SearchMethod.APPROXIMATE))
    with pytest.raises(InvalidRequestError, match="request 1 of the stream"):
        list(client.embed_stream(["king"], model="../x"))


def test_word_vectors_are_evaluated_with_progress(client: Client) -> None:
    pairs = JudgedPairs(
        name="alike",
        pairs=(("king", "queen", 9), ("cat", "dog", 8), ("cat", "car", 2), ("king", "xyzzyq", 1)),
    )
    analogies = SolvedAnalogies(
        name="family",
        analogies=(("man", "king", "woman", "queen"), ("man", "king", "woman", "dog")),
    )
    unknown = SolvedAnalogies(name="unknown", analogies=(("xyzzyq", "a", "b", "c"),))
    progress: list[EvaluationProgress] = []
    found = client.evaluate_word_vectors([pairs, analogies, unknown], on_progress=progress.append)
    alike, family, error = found.results
    assert isinstance(alike, WordVectorScore)
    assert (alike.item_count, alike.covered_count) == (4, 3)
    king, queen, cat, dog, car = units(client, ["king", "queen", "cat", "dog", "car"])
    cosines = [king @ queen, cat @ dog, cat @ car]
    ranks = np.argsort(np.argsort(cosines))
    assert alike.spearman == pytest.approx(np.corrcoef(ranks, [2, 1, 0])[0, 1])
    assert isinstance(family, WordVectorScore)
    assert family.accuracy == 0.5
    assert isinstance(error, TooFewKnownError)
    assert found.model.name == "glove-100d"
    assert all(one.total == 7 for one in progress)


def test_the_command_searches_by_sums_files_and_filters(dragoman: Callable[..., Any]) -> None:
    plus = ("--plus", "king", "--plus", "woman", "--minus", "man")
    assert dragoman("nearest", *plus, "-k", "1").out.startswith("queen\t")
    assert not dragoman("nearest", *plus, "-k", "1", "--exclude", "queen").out.startswith("queen\t")
    lines = dragoman("nearest", "--file", "-", "-k", "1", "--json", stdin=b"river\nking\nxyzzyq\n")
    river, king, unknown = map(json.loads, lines.out.splitlines())
    assert (river["neighbors"][0]["word"], king["query"]) == ("rivers", "king")
    assert unknown["error"]["code"] == "NOT_FOUND"
    assert lines.code == 1
    found = dragoman("analogy", "man", "king", "woman", "--method", "3cosmul", "--json").out
    assert json.loads(found)["neighbors"][0]["word"] == "queen"
