"""Every row of the error table that a caller can reach: code, details, and what still works after.

Through generated stubs, as a caller in any language sees it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dragoman.v1 import evaluation_service_pb2
from dragoman.v1.decoding_pb2 import LENGTH_NORMALIZATION_NONE
from dragoman.v1.embedding_service_pb2 import (
    AnalogyQuestion,
    AnalogyRequest,
    EmbedRequest,
    NearestQuery,
    NearestRequest,
    SearchOptions,
    SimilarityRequest,
    WordPair,
)
from dragoman.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from dragoman.v1.evaluation_service_pb2 import EvaluationServiceScoreRequest, ScoredSegment
from dragoman.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from dragoman.v1.model_pb2 import ModelSelector
from dragoman.v1.model_service_pb2 import GetModelRequest, ListModelsRequest
from dragoman.v1.model_service_pb2_grpc import ModelServiceStub
from dragoman.v1.translation_service_pb2 import (
    TranslateRequest,
    TranslationOptions,
    TranslationSource,
)
from dragoman.v1.translation_service_pb2_grpc import TranslationServiceStub

BABEL = ModelSelector(name="babel")
TEXT = TranslationSource(text="a")
TIMEOUT = 60


def failure(call: Callable[[], object]) -> tuple[grpc.StatusCode, status_pb2.Status]:
    """The code of the call, and its rich status, which must agree."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    rich = rpc_status.from_call(error)
    assert rich is not None, error.details()
    return error.code(), rich


def fields(status: status_pb2.Status) -> list[str]:
    """The fields that the status's BadRequest names; each violation must name the fix."""
    details = error_details_pb2.BadRequest()
    assert any(packed.Unpack(details) for packed in status.details)
    for violation in details.field_violations:
        assert "; " in violation.description, violation.description
    return [violation.field for violation in details.field_violations]


def translated(*texts: str, **options: Any) -> TranslateRequest:
    return TranslateRequest(
        model=BABEL,
        sources=[TranslationSource(text=text) for text in texts],
        options=TranslationOptions(**options),
    )


def embedded(*words: str, **options: Any) -> EmbedRequest:
    return EmbedRequest(words=words, **options)


def listed(**options: Any) -> ListModelsRequest:
    return ListModelsRequest(**options)


def nearest(*words: str, **options: Any) -> NearestRequest:
    queries = [NearestQuery(word=word) for word in words]
    return NearestRequest(queries=queries, options=SearchOptions(**options))


def segment(hypothesis: str, *references: str) -> ScoredSegment:
    return ScoredSegment(hypothesis=hypothesis, references=references)


def scored(*segments: ScoredSegment, **options: Any) -> EvaluationServiceScoreRequest:
    scoring = evaluation_service_pb2.ScoringOptions(**options)
    return EvaluationServiceScoreRequest(segments=segments, options=scoring)


@pytest.mark.parametrize(
    ("service", "method", "request_message", "wrong"),
    [
        (TranslationServiceStub, "Translate", translated(), ["sources"]),
        (TranslationServiceStub, "Translate", translated("a", beam_width=0),
         ["options.beam_width"]),
        (TranslationServiceStub, "Translate", translated("a", beam_width=65),
         ["options.beam_width"]),
        (TranslationServiceStub, "Translate", translated("a", beam_width=2, n_best=3),
         ["options.n_best"]),
        (TranslationServiceStub, "Translate", translated("a", n_best=0), ["options.n_best"]),
        (TranslationServiceStub, "Translate", translated("a", length_penalty=math.nan),
         ["options.length_penalty"]),
        (TranslationServiceStub, "Translate", translated("a", length_penalty=math.inf),
         ["options.length_penalty"]),
        (TranslationServiceStub, "Translate", translated("a", length_penalty=-0.5),
         ["options.length_penalty"]),
        (TranslationServiceStub, "Translate",
         translated("a", length_penalty=0.5, length_normalization=LENGTH_NORMALIZATION_NONE),
         ["options.length_penalty"]),
        (TranslationServiceStub, "Translate", translated("a", max_length=0),
         ["options.max_length"]),
        (TranslationServiceStub, "Translate", translated("a", max_length=10_001),
         ["options.max_length"]),
        (TranslationServiceStub, "Translate", translated("a", length_normalization=77),
         ["options.length_normalization"]),
        (TranslationServiceStub, "Translate", translated("a", coverage_penalty=-0.2),
         ["options.coverage_penalty"]),
        (TranslationServiceStub, "Translate", translated("a", early_stopping=9),
         ["options.early_stopping"]),
        (TranslationServiceStub, "Translate", translated("a", repetition_penalty=0.5),
         ["options.repetition_penalty"]),
        (TranslationServiceStub, "Translate", translated("a", beam_width=0, max_length=0),
         ["options.beam_width", "options.max_length"]),
        (TranslationServiceStub, "Translate", translated(*["a"] * 1025), ["sources"]),
        (TranslationServiceStub, "Translate",
         TranslateRequest(model=ModelSelector(name="glove-100d"), sources=[TEXT]), ["model.name"]),
        (TranslationServiceStub, "Translate",
         TranslateRequest(model=ModelSelector(name="../babel"), sources=[TEXT]), ["model.name"]),
        (TranslationServiceStub, "Translate",
         TranslateRequest(model=ModelSelector(name="babel", version=0), sources=[TEXT]),
         ["model.version"]),
        (EmbeddingServiceStub, "Embed", EmbedRequest(), ["words"]),
        (EmbeddingServiceStub, "Embed", EmbedRequest(words=["a"] * 1001), ["words"]),
        (EmbeddingServiceStub, "Embed", embedded("a", lookup=9), ["lookup"]),
        (EmbeddingServiceStub, "Embed", EmbedRequest(words=["a"], model=BABEL), ["model.name"]),
        (EmbeddingServiceStub, "Similarity", SimilarityRequest(), ["pairs"]),
        (EmbeddingServiceStub, "Similarity", SimilarityRequest(pairs=[WordPair()] * 10_001),
         ["pairs"]),
        (EmbeddingServiceStub, "Nearest", nearest(), ["queries"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", k=0), ["options.k"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", k=1001), ["options.k"]),
        (EmbeddingServiceStub, "Nearest", nearest(*["a"] * 101, k=1000), ["options.k"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", method=2), ["options.method"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", max_rank=0), ["options.max_rank"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", min_score=math.nan), ["options.min_score"]),
        (EmbeddingServiceStub, "Nearest", nearest("a", excluded_words=["b"] * 10_001),
         ["options.excluded_words"]),
        (EmbeddingServiceStub, "Analogy", AnalogyRequest(), ["questions"]),
        (EmbeddingServiceStub, "Analogy",
         AnalogyRequest(questions=[AnalogyQuestion()], method=99),  # type: ignore[arg-type]
         ["method"]),
        (EvaluationServiceStub, "Score", scored(), ["segments"]),
        (EvaluationServiceStub, "Score", scored(segment("a")), ["segments[0].references"]),
        (EvaluationServiceStub, "Score", scored(segment("a", "b"), segment("a", " ")),
         ["segments[1].references[0]"]),
        (EvaluationServiceStub, "Score", scored(segment("a", "b", "c")),
         ["segments[0].references"]),
        (EvaluationServiceStub, "Score", scored(segment("a", "b"), metrics=[0]),
         ["options.metrics[0]"]),
        (ModelServiceStub, "GetModel", GetModelRequest(), ["model.name"]),
        (ModelServiceStub, "ListModels", ListModelsRequest(page_size=1001), ["page_size"]),
        (ModelServiceStub, "ListModels", ListModelsRequest(page_token="x"), ["page_token"]),  # noqa: S106
        (ModelServiceStub, "ListModels", listed(states=[9]), ["states[0]"]),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(
    channel: grpc.Channel, service: Any, method: str, request_message: Any, wrong: list[str]
) -> None:
    call = getattr(service(channel), method)
    code, status = failure(lambda: call(request_message, timeout=TIMEOUT))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert fields(status) == wrong
    assert all(field in status.message for field in wrong)


@pytest.mark.parametrize(
    ("service", "method", "request_message", "name"),
    [
        (TranslationServiceStub, "Translate",
         TranslateRequest(model=ModelSelector(name="xx-yy"), sources=[TEXT]), "xx-yy"),
        (TranslationServiceStub, "Translate",
         TranslateRequest(model=ModelSelector(name="babel", version=7), sources=[TEXT]), "babel/7"),
        (EmbeddingServiceStub, "Embed",
         EmbedRequest(model=ModelSelector(name="xx"), words=["a"]), "xx"),
        (ModelServiceStub, "GetModel", GetModelRequest(model=ModelSelector(name="xx")), "xx"),
    ],
)  # fmt: skip
def test_models_that_do_not_exist_are_not_found(
    channel: grpc.Channel, service: Any, method: str, request_message: Any, name: str
) -> None:
    call = getattr(service(channel), method)
    code, status = failure(lambda: call(request_message, timeout=TIMEOUT))
    assert code is grpc.StatusCode.NOT_FOUND
    details = error_details_pb2.ResourceInfo()
    assert any(packed.Unpack(details) for packed in status.details)
    assert (details.resource_type, details.resource_name) == ("model", name)


def test_a_model_that_was_refused_is_a_failed_precondition(channel: grpc.Channel) -> None:
    request = TranslateRequest(model=ModelSelector(name="damaged"), sources=[TEXT])
    stub = TranslationServiceStub(channel)
    code, status = failure(lambda: stub.Translate(request, timeout=TIMEOUT))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "weights.safetensors" in status.message


@pytest.mark.parametrize(
    ("service", "method", "request_message"),
    [
        (TranslationServiceStub, "Translate", translated("x" * 5_000_000)),
        (EmbeddingServiceStub, "Embed", EmbedRequest(words=["x" * 5_000_000])),
        (EvaluationServiceStub, "Score", scored(segment("x" * 5_000_000, "y"))),
    ],
)
def test_a_message_over_the_limit_is_resource_exhausted(
    channel: grpc.Channel, service: Any, method: str, request_message: Any
) -> None:
    call = getattr(service(channel), method)
    code, status = failure(lambda: call(request_message, timeout=TIMEOUT))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = error_details_pb2.QuotaFailure()
    assert any(packed.Unpack(details) for packed in status.details)
    assert "4,194,304" in details.violations[0].description


def test_a_bad_text_fails_alone(channel: grpc.Channel) -> None:
    texts = ["the cat", "", " \t\u3000", "x" * 10_001, "\u200b", "the dog"]
    response = TranslationServiceStub(channel).Translate(
        translated(*texts, beam_width=1, max_length=5), timeout=TIMEOUT
    )
    good = [result.HasField("translation") for result in response.results]
    assert good == [True, False, False, False, False, True]
    for i in (1, 2, 3, 4):
        error = response.results[i].error
        assert error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert fields(error) == [f"sources[{i}].text"]
    assert "10,000" in response.results[3].error.message


def test_a_bad_word_fails_alone(channel: grpc.Channel) -> None:
    stub = EmbeddingServiceStub(channel)
    words = ["king", "", "xyzzyqq", "x" * 1001, " ", "\0", "queen"]
    embedded = stub.Embed(EmbedRequest(words=words), timeout=TIMEOUT)
    searched = stub.Nearest(nearest(*words, k=1), timeout=TIMEOUT)
    pairs = [WordPair(first="king", second=word) for word in words]
    compared = stub.Similarity(SimilarityRequest(pairs=pairs), timeout=TIMEOUT)
    questions = [AnalogyQuestion(a="man", b="king", c=word) for word in words]
    answered = stub.Analogy(AnalogyRequest(questions=questions), timeout=TIMEOUT)
    for response, path in (
        (embedded, "words[{}]"),
        (searched, "queries[{}].word"),
        (compared, "pairs[{}].second"),
        (answered, "questions[{}].c"),
    ):
        results: Any = response.results
        codes = [result.error.code for result in results]
        assert codes == [0, 3, 5, 3, 3, 5, 0]
        for i in (1, 3, 4):
            assert fields(results[i].error) == [path.format(i)]
        details = error_details_pb2.ResourceInfo()
        assert any(packed.Unpack(details) for packed in results[2].error.details)
        assert (details.resource_type, details.resource_name) == ("word", "xyzzyqq")


def test_a_nearest_query_without_a_word_fails_alone(channel: grpc.Channel) -> None:
    request = NearestRequest(queries=[NearestQuery(), NearestQuery(word="king")])
    response = EmbeddingServiceStub(channel).Nearest(request, timeout=TIMEOUT)
    assert fields(response.results[0].error) == ["queries[0].word"]
    assert response.results[1].HasField("neighbors")


def test_text_that_is_not_utf8_is_named(channel: grpc.Channel) -> None:
    valid = translated("the cat", "caf_").SerializeToString()
    call: Any = channel.unary_unary("/dragoman.v1.TranslationService/Translate")
    code, status = failure(lambda: call(valid.replace(b"caf_", b"caf\xe9"), timeout=TIMEOUT))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert fields(status) == ["sources[1].text"]


def test_bytes_that_are_no_message_are_an_invalid_argument(channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary("/dragoman.v1.TranslationService/Translate")
    code, status = failure(lambda: call(b"\xff\xff\xff", timeout=TIMEOUT))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert fields(status) == ["request"]


def test_streams_of_later_versions_are_unimplemented(channel: grpc.Channel) -> None:
    stub: Any = EvaluationServiceStub(channel)
    request = evaluation_service_pb2.EvaluateTranslationRequest()
    with pytest.raises(grpc.RpcError) as caught:
        next(stub.EvaluateTranslation(request, timeout=TIMEOUT))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_id_of_a_request_comes_back(channel: grpc.Channel) -> None:
    call: Any = EmbeddingServiceStub(channel).Embed
    _, found = call.with_call(
        EmbedRequest(words=["king"]), timeout=TIMEOUT, metadata=[("x-request-id", "mine-1")]
    )
    assert ("x-request-id", "mine-1") in [tuple(pair) for pair in found.trailing_metadata()]


def test_a_deadline_of_a_millisecond_is_exceeded_and_no_harm_done(channel: grpc.Channel) -> None:
    stub = TranslationServiceStub(channel)
    for _ in range(20):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Translate(translated("the cat", max_length=5000), timeout=0.001)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    response = stub.Translate(translated("the cat", max_length=5), timeout=TIMEOUT)
    assert response.results[0].HasField("translation")
