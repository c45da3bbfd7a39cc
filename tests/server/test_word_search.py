"""Searches through the API equal brute force in float64, whatever the filters and the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.rpc import error_details_pb2
from numpy.typing import NDArray
from tests.server.conftest import ready_version
from tests.server.test_services import NOT_FOUND, fields_of, refused_fields

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1.vector_pb2 import Vector
from dragoman_models.embeddings.approximate_index import ApproximateIndex, ApproximateOptions
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

SIZE, WIDTH = 900, 12
ROWS = np.random.default_rng(11).standard_normal((SIZE, WIDTH)).astype(np.float32)
NAMES = [f"w{i}" for i in range(SIZE)]
UNITS = ROWS.astype(np.float64) / np.linalg.norm(ROWS.astype(np.float64), axis=1, keepdims=True)


def vectors(*, indexed: bool = False) -> WordVectors:
    model = WordVectors(Vocabulary(NAMES), ROWS)
    if indexed:
        model.approximate = ApproximateIndex.build(model.index, ApproximateOptions())
    return model


def best(
    scores: NDArray[np.float64],
    k: int,
    *,
    left_out: Sequence[int] = (),
    limit: int = SIZE,
    floor: float = -np.inf,
) -> list[tuple[str, float]]:
    """The k best words by their scores, all filters by brute force."""
    rows = [
        row for row in np.argsort(-scores, kind="stable")
        if row not in left_out and row < limit and scores[row] >= floor
    ]  # fmt: skip
    return [(NAMES[row], float(scores[row])) for row in rows[:k]]


def pairs(neighbors: pb.Neighbors) -> list[tuple[str, float]]:
    return [(one.word, one.score) for one in neighbors.neighbors]


def same(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [score for _, score in found] == pytest.approx([s for _, s in expected], abs=1e-6)


async def nearest(
    server: RunningServer, *queries: pb.NearestQuery, **options: Any
) -> list[pb.NearestResult]:
    request = pb.NearestRequest(queries=queries, options=pb.SearchOptions(**options))
    return list((await server.embedding.Nearest(request)).results)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "max_rank": 40},
        {"k": 900, "min_score": 0.25},
        {"k": 5, "min_score": 0.5, "max_rank": 300},
        {"k": 4, "excluded_words": NAMES[:500:3]},
        {"k": 7, "excluded_words": [*NAMES[1:880], "unknown"]},
        {"k": 2, "include_query_words": True},
        {"k": 3, "min_score": 1.5},
    ],
)
async def test_filters_equal_brute_force(
    server_with: ServerFactory, options: dict[str, Any]
) -> None:
    given = np.random.default_rng(5).standard_normal(WIDTH).astype(np.float32)
    async with server_with(None, [ready_version("w", "word-vectors", vectors())]) as server:
        word, vector, weighted = await nearest(
            server,
            pb.NearestQuery(word="W7"),
            pb.NearestQuery(vector=Vector(values=given.tolist())),
            pb.NearestQuery(weighted_words=terms({"w1": 1.0, "w2": -0.5, "w3": 2.0})),
            **options,
        )
    excluded = [NAMES.index(w) for w in options.get("excluded_words", ()) if w in NAMES]
    filters: dict[str, Any] = {
        "limit": options.get("max_rank", SIZE), "floor": options.get("min_score", -np.inf)
    }  # fmt: skip
    k = options.get("k", 10)

    def expected(query: NDArray[np.float64], own: list[int]) -> list[tuple[str, float]]:
        left_out = excluded if options.get("include_query_words") else [*excluded, *own]
        scores = UNITS @ (query / np.linalg.norm(query))
        return best(scores, k, left_out=left_out, **filters)

    same(pairs(word.neighbors), expected(UNITS[7], [7]))
    same(pairs(vector.neighbors), expected(given.astype(np.float64), []))
    total = UNITS[1] - 0.5 * UNITS[2] + 2 * UNITS[3]
    same(pairs(weighted.neighbors), expected(total, [1, 2, 3]))
    assert [one.word for one in weighted.neighbors.query_words] == ["w1", "w2", "w3"]
    assert not vector.neighbors.query_words


def terms(weights: dict[str, float | None]) -> pb.WeightedWords:
    return pb.WeightedWords(
        words=[pb.WeightedWord(word=word, weight=weight) for word, weight in weights.items()]
    )


async def test_a_weight_that_is_absent_is_1(server: RunningServer) -> None:
    plain, weighted = await nearest(
        server,
        pb.NearestQuery(weighted_words=terms({"cat": None, "dogs": None})),
        pb.NearestQuery(weighted_words=terms({"cat": 1.0, "dogs": 1.0})),
    )
    assert plain == weighted
    assert plain.HasField("neighbors")


async def test_three_cos_mul_equals_its_equation(server_with: ServerFactory) -> None:
    question = pb.AnalogyQuestion(a="w4", b="w5", c="w6")
    request = pb.AnalogyRequest(
        questions=[question],
        options=pb.SearchOptions(k=8, max_rank=700),
        method=pb.ANALOGY_METHOD_THREE_COS_MUL,
    )
    async with server_with(None, [ready_version("w", "word-vectors", vectors())]) as server:
        (result,) = (await server.embedding.Analogy(request)).results
    near = [(UNITS @ UNITS[row] + 1) / 2 for row in (4, 5, 6)]
    scores = near[1] * near[2] / (near[0] + 0.001)
    same(pairs(result.answers), best(scores, 8, left_out=[4, 5, 6], limit=700))


async def test_an_approximate_search_says_how_it_was_done(server_with: ServerFactory) -> None:
    model = vectors(indexed=True)
    query = pb.NearestQuery(word="w9")
    approximate = pb.SEARCH_METHOD_APPROXIMATE
    async with server_with(None, [ready_version("w", "word-vectors", model)]) as server:
        (found,) = await nearest(server, query, method=approximate)
        (few,) = await nearest(server, query, method=approximate, max_rank=30)
        (exact,) = await nearest(server, query)
        (same_few,) = await nearest(server, query, max_rank=30)
    assert found.neighbors.method == approximate
    # What has few candidates is answered exactly.
    assert few.neighbors.method == pb.SEARCH_METHOD_EXACT
    assert few == same_few
    scores = dict(pairs(exact.neighbors))
    hits = [word for word, score in pairs(found.neighbors) if scores.get(word) == score]
    assert len(hits) >= 8


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_rank": 0}, "options.max_rank"),
        ({"min_score": float("nan")}, "options.min_score"),
        ({"min_score": float("inf")}, "options.min_score"),
        ({"method": pb.SEARCH_METHOD_APPROXIMATE}, "options.method"),  # animals have no index
        ({"excluded_words": ["x"] * 10_001}, "options.excluded_words"),
        ({"lookup": 9}, "options.lookup"),
    ],
)
async def test_wrong_options_fail_the_call_by_name(
    server: RunningServer, options: dict[str, Any], field: str
) -> None:
    search = pb.SearchOptions(**options)
    request = pb.NearestRequest(queries=[pb.NearestQuery(word="cat")], options=search)
    assert await refused_fields(server.embedding.Nearest(request)) == [field]
    asked = pb.AnalogyRequest(
        questions=[pb.AnalogyQuestion(a="cat", b="cats", c="dog")], options=search
    )
    assert await refused_fields(server.embedding.Analogy(asked)) == [field]


async def test_a_wrong_query_fails_alone(server: RunningServer) -> None:
    nan, infinity = float("nan"), float("inf")
    queries: dict[str, list[Any]] = {
        "vector": [
            Vector(values=[1.0]), Vector(), Vector(values=[0.0] * 3),
            Vector(values=[1.0, nan, 0.0]), Vector(values=[-infinity, 1.0, 0.0]),
        ],
        "weighted_words": [
            terms({}), terms({"cat": infinity}), terms({"cat": 1.0, " ": 1.0}), terms({"zero": 1}),
            pb.WeightedWords(words=[pb.WeightedWord(word="cat")] * 101),
            pb.WeightedWords(words=[pb.WeightedWord(word="cat", weight=w) for w in (1, -1)]),
        ],
    }  # fmt: skip
    asked = [pb.NearestQuery(**{kind: one}) for kind in queries for one in queries[kind]]
    *wrong, good = await nearest(server, *asked, pb.NearestQuery(word="cat"))
    assert good.neighbors.neighbors[0].word == "cats"
    found = [fields_of(result.error)[0] for result in wrong]
    words = "weighted_words.words"
    assert found == [
        *[f"queries[{i}].vector" for i in range(5)],
        f"queries[5].{words}",
        f"queries[6].{words}[0].weight",
        f"queries[7].{words}[1].word",
        f"queries[8].{words}[0].word",
        f"queries[9].{words}",
        "queries[10].weighted_words",
    ]


def suggestions_of(error: Any) -> list[str]:
    detail = pb.SpellingSuggestions()
    unpacked = [packed for packed in error.details if packed.Unpack(detail)]
    return list(detail.suggestions) if unpacked else []


async def test_unknown_words_come_with_the_closest_spellings(server: RunningServer) -> None:
    words = ["Catz", "dgo", "quite another", "x" * 900]
    embedded = (await server.embedding.Embed(pb.EmbedRequest(words=words))).results
    searched = await nearest(server, *(pb.NearestQuery(word=word) for word in words))
    compared = pb.SimilarityRequest(pairs=[pb.WordPair(first="cat", second=w) for w in words])
    similar = (await server.embedding.Similarity(compared)).results
    asked = pb.AnalogyRequest(questions=[pb.AnalogyQuestion(a="cat", b="dog", c=w) for w in words])
    answered = (await server.embedding.Analogy(asked)).results
    outcomes: tuple[Any, ...] = (embedded, searched, similar, answered)
    for results in outcomes:
        errors = [result.error for result in results]
        assert [error.code for error in errors] == [NOT_FOUND] * 4
        assert [suggestions_of(e) for e in errors] == [["cat", "cats"], ["dog"], [], []]
        assert "did you mean 'cat', 'cats'?" in errors[0].message
        resource = error_details_pb2.ResourceInfo()
        assert errors[0].details[0].Unpack(resource)
        assert resource.resource_name == "Catz"


async def test_a_thousand_unknown_words_get_some_suggestions_and_all_their_errors(
    server: RunningServer,
) -> None:
    response = await server.embedding.Embed(pb.EmbedRequest(words=["catz"] * 1_000))
    suggested = [bool(suggestions_of(result.error)) for result in response.results]
    assert {result.error.code for result in response.results} == {NOT_FOUND}
    assert suggested == [True] * 20 + [False] * 980
