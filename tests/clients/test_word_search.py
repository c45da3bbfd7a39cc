"""Searches and evaluations of word vectors through both clients: what is sent, what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1 import evaluation_service_pb2, model_pb2
from dragoman_client import (
    AnalogyMethod,
    EvaluationProgress,
    JudgedPairs,
    ModelNotLoadedError,
    NotFoundError,
    SearchMethod,
    SearchOptions,
    ServerError,
    SolvedAnalogies,
    TooFewKnownError,
    VectorQuery,
    WeightedWords,
    WordLookup,
    WordVectorScore,
)
from dragoman_client.requests.words import analogy_request, nearest_request

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Call = Callable[..., Any]
GLOVE = model_pb2.ModelVersion(name="glove-100d", version=1)


def nearest_answer(count: int) -> pb.NearestResponse:
    answer = pb.NearestResponse(model=GLOVE)
    for _ in range(count):
        answer.results.add().neighbors.method = pb.SEARCH_METHOD_APPROXIMATE
    return answer


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("king", "word"),
        (VectorQuery(values=[0.5, 2]), "vector"),
        (VectorQuery(values=()), "vector"),
        (WeightedWords(terms=(("king", 0.5),)), "weighted_words"),
        (WeightedWords(terms=()), "weighted_words"),
    ],
)
def test_each_kind_of_query_may_stand_alone_or_among_many(
    server: FakeServer, call: Call, query: Any, kind: str
) -> None:
    server.answers["Nearest"] = lambda request, _: nearest_answer(len(request.queries))
    alone = call(server.address, "nearest", query)
    several = call(server.address, "nearest", [query, "queen"])
    assert alone == several[0]
    assert alone.method is SearchMethod.APPROXIMATE
    for request in server.requests:
        assert request.queries[0].WhichOneof("query") == kind


def test_weighted_words_are_made_from_words_or_weights() -> None:
    assert WeightedWords.of(["king", "woman"], minus=["man"]).terms == (
        ("king", 1.0), ("woman", 1.0), ("man", -1.0)
    )  # fmt: skip
    assert WeightedWords.from_weights({"a": 0.25, "b": -2}).terms == (("a", 0.25), ("b", -2))


def test_all_search_options_are_sent_and_none_that_was_not_chosen() -> None:
    options = SearchOptions(
        k=0, lookup=WordLookup.EXACT, include_query_words=True, excluded_words=["a", "b"],
        max_rank=0, min_score=0.0, method=SearchMethod.APPROXIMATE,
    )  # fmt: skip
    sent = nearest_request(["x"], model="", options=options).options
    assert {field.name for field, _ in sent.ListFields()} == {
        field.name for field in sent.DESCRIPTOR.fields
    }
    assert (sent.k, sent.max_rank, sent.min_score) == (0, 0, 0.0)
    assert list(sent.excluded_words) == ["a", "b"]
    asked = analogy_request(
        [("a", "b", "c")], model="", options=options, method=AnalogyMethod.THREE_COS_MUL
    )
    assert asked.options == sent
    assert asked.method == pb.ANALOGY_METHOD_THREE_COS_MUL
    plain = analogy_request([("a", "b", "c")], model="", options=None, method=None)
    assert [field.name for field, _ in plain.ListFields()] == ["model", "questions"]


def test_the_method_of_analogies_is_sent(server: FakeServer, call: Call) -> None:
    answer = pb.AnalogyResponse(model=GLOVE)
    answer.results.add().answers.method = pb.SEARCH_METHOD_EXACT
    server.always("Analogy", answer)
    method = AnalogyMethod.THREE_COS_MUL
    found = call(server.address, "analogy", "man", "king", "woman", method=method)
    assert found.method is SearchMethod.EXACT
    assert server.requests[0].method == pb.ANALOGY_METHOD_THREE_COS_MUL


def test_an_unknown_word_has_suggestions(server: FakeServer, call: Call) -> None:
    answer = pb.NearestResponse(model=GLOVE)
    error = answer.results.add().error
    error.code, error.message = 5, "the word 'kign' is not in the vocabulary; did you mean 'king'?"
    error.details.add().Pack(pb.SpellingSuggestions(word="kign", suggestions=["king"]))
    server.always("Nearest", answer)
    with pytest.raises(NotFoundError, match="did you mean 'king'") as caught:
        call(server.address, "nearest", "kign")
    assert caught.value.suggestions == ("king",)


PAIRS = JudgedPairs(name="pairs", pairs=(("king", "queen", 8.5), ("cat", "car", 1)))
ANALOGIES = SolvedAnalogies(name="capitals", analogies=(("a", "b", "c", "d"),))


def evaluation_events(**of_error: Any) -> list[evaluation_service_pb2.EvaluateWordVectorsResponse]:
    event = evaluation_service_pb2.EvaluateWordVectorsResponse
    progress = evaluation_service_pb2.EvaluationProgress(completed_count=1, total_count=3)
    last = event()
    last.evaluation.model.CopyFrom(GLOVE)
    score = last.evaluation.results.add().score
    score.name, score.item_count, score.covered_count, score.spearman = "pairs", 2, 1, -0.5
    last.evaluation.results.add().error.CopyFrom(status_pb2.Status(**of_error))
    return [event(progress=progress), event(), last]


def test_an_evaluation_tells_its_progress_and_gives_figures_and_errors(
    server: FakeServer, call: Call
) -> None:
    failure = error_details_pb2.PreconditionFailure()
    failure.violations.add(type="TOO_FEW_KNOWN", subject="capitals")
    events = evaluation_events(code=9, message="capitals: the model knows none")
    events[-1].evaluation.results[1].error.details.add().Pack(failure)
    server.answers["EvaluateWordVectors"] = lambda *_: iter(events)  # type: ignore[assignment]
    seen: list[EvaluationProgress] = []
    found = call(
        server.address, "evaluate_word_vectors", [PAIRS, ANALOGIES], model="glove-100d",
        lookup=WordLookup.EXACT, analogy_method=AnalogyMethod.THREE_COS_MUL, max_rank=30_000,
        on_progress=seen.append,
    )  # fmt: skip
    assert seen == [EvaluationProgress(completed=1, total=3)]
    score, error = found.results
    assert score == WordVectorScore(
        name="pairs", item_count=2, covered_count=1, spearman=-0.5, accuracy=None
    )
    assert score.coverage == 0.5
    assert isinstance(error, TooFewKnownError)
    (request,) = server.requests
    pairs, analogies = request.test_sets
    assert [(p.first, p.second, p.judgement) for p in pairs.judged_pairs.pairs] == [
        ("king", "queen", 8.5), ("cat", "car", 1.0)
    ]  # fmt: skip
    (one,) = analogies.solved_analogies.analogies
    assert (one.a, one.b, one.c, one.d) == ("a", "b", "c", "d")
    assert (request.lookup, request.analogy_method, request.max_rank) == (2, 2, 30_000)


def test_a_precondition_of_another_kind_is_a_model_that_is_not_loaded(
    server: FakeServer, call: Call
) -> None:
    server.fail("Nearest", status_pb2.Status(code=9, message="model x is not loaded"))
    with pytest.raises(ModelNotLoadedError):
        call(server.address, "nearest", "a")


def test_an_evaluation_without_a_result_is_the_servers_fault(
    server: FakeServer, call: Call
) -> None:
    events = evaluation_events(code=9)[:1]
    server.answers["EvaluateWordVectors"] = lambda *_: iter(events)  # type: ignore[assignment]
    with pytest.raises(ServerError, match="without a result"):
        call(server.address, "evaluate_word_vectors", [PAIRS])


def test_what_the_progress_raises_cancels_the_evaluation(server: FakeServer, call: Call) -> None:
    def endless(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        while context.is_active():
            yield evaluation_events(code=9)[0]

    def stop(_: EvaluationProgress) -> None:
        raise KeyError("enough")

    server.answers["EvaluateWordVectors"] = endless  # type: ignore[assignment]
    with pytest.raises(KeyError, match="enough"):
        call(server.address, "evaluate_word_vectors", [PAIRS], on_progress=stop)
