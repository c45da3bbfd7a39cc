"""Both clients send what is asked and give plain, typed answers, item by item."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from dragoman.v1 import decoding_pb2, embedding_service_pb2, model_pb2
from dragoman.v1.embedding_service_pb2 import (
    AnalogyResponse,
    EmbedResponse,
    NearestResponse,
    SimilarityResponse,
)
from dragoman.v1.evaluation_service_pb2 import EvaluationServiceScoreResponse
from dragoman.v1.model_service_pb2 import (
    GetModelResponse,
    ListModelsResponse,
    LoadModelResponse,
    UnloadModelResponse,
)
from dragoman.v1.translation_service_pb2 import ScoreTargetResponse, TranslateResponse
from dragoman_client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    FinishReason,
    HealthStatus,
    InvalidRequestError,
    LengthNormalization,
    MetricScore,
    ModelState,
    ModelVersion,
    Neighbor,
    NotFoundError,
    NotServedError,
    QuotaExceededError,
    ResolvedWord,
    SearchOptions,
    ServerError,
    ServerUnreachableError,
    TranslationOptions,
    WordLink,
    WordMatch,
)

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Call = Callable[..., Any]

GLOVE = model_pb2.ModelVersion(name="glove-100d", version=1)
FR_EN = model_pb2.ModelVersion(name="fr-en", version=3)
UNKNOWN_WORD = status_pb2.Status(code=5, message="the word 'xyzzy' is not in the vocabulary")


def resolved(word: str) -> embedding_service_pb2.ResolvedWord:
    return embedding_service_pb2.ResolvedWord(
        word=word, match=embedding_service_pb2.WORD_MATCH_EXACT, rank=5
    )


def test_one_word_gives_its_vector(server: FakeServer, call: Call) -> None:
    answer = EmbedResponse(model=GLOVE, dimensions=2)
    found = answer.results.add().word_vector
    found.word.CopyFrom(resolved("king"))
    found.vector.values.extend([0.5, -1.0])
    server.always("Embed", answer)
    vector = call(server.address, "embed", "king", normalize=True)
    assert vector.values == (0.5, -1.0)
    assert vector.word == ResolvedWord(word="king", match=WordMatch.EXACT, rank=5)
    assert vector.model == ModelVersion(name="glove-100d", version=1)
    (request,) = server.requests
    assert (list(request.words), request.normalize) == (["king"], True)


def test_in_a_batch_an_error_takes_the_place_of_its_item(server: FakeServer, call: Call) -> None:
    answer = SimilarityResponse(model=GLOVE)
    answer.results.add().similarity.cosine = 0.75
    answer.results.add().error.CopyFrom(UNKNOWN_WORD)
    answer.results.add().similarity.cosine = -0.5
    server.always("Similarity", answer)
    pairs = [("a", "b"), ("a", "xyzzy"), ("b", "c")]
    first, second, third = call(server.address, "similarity", pairs)
    assert (first.cosine, third.cosine) == (0.75, -0.5)
    assert isinstance(second, NotFoundError)
    assert str(second) == "the word 'xyzzy' is not in the vocabulary"


def test_the_error_of_the_only_item_is_raised(server: FakeServer, call: Call) -> None:
    answer = SimilarityResponse(model=GLOVE)
    answer.results.add().error.CopyFrom(UNKNOWN_WORD)
    server.always("Similarity", answer)
    with pytest.raises(NotFoundError, match="xyzzy"):
        call(server.address, "similarity", "a", "xyzzy")
    assert isinstance(call(server.address, "similarity", [("a", "xyzzy")])[0], NotFoundError)


def test_nearest_words_and_analogies(server: FakeServer, call: Call) -> None:
    neighbors = embedding_service_pb2.Neighbors(query_words=[resolved("king")])
    neighbors.neighbors.add(word="queen", score=0.75, rank=9)
    nearest, analogy = NearestResponse(model=GLOVE), AnalogyResponse(model=GLOVE)
    nearest.results.add().neighbors.CopyFrom(neighbors)
    analogy.results.add().answers.CopyFrom(neighbors)
    server.always("Nearest", nearest)
    server.always("Analogy", analogy)
    for found in (
        call(server.address, "nearest", "king", options=SearchOptions(k=1)),
        call(server.address, "nearest", ["king"])[0],
        call(server.address, "analogy", "man", "king", "woman", options=SearchOptions(k=1)),
        call(server.address, "analogy", [("man", "king", "woman")])[0],
    ):
        assert found.neighbors == (Neighbor(word="queen", score=0.75, rank=9),)
        assert [word.word for word in found.query_words] == ["king"]
    assert [request.options.k for request in server.requests] == [1, 0, 1, 0]
    question = server.requests[2].questions[0]
    assert (question.a, question.b, question.c) == ("man", "king", "woman")


def test_a_translation_with_tokens_and_alignment(server: FakeServer, call: Call) -> None:
    answer = TranslateResponse(model=FR_EN)
    translation = answer.results.add().translation
    translation.source_token_count = 2
    translation.seed = 2**64 - 1
    answer.ensemble_models.add(name="other", version=4)
    hypothesis = translation.hypotheses.add(
        text="Hi.", score=-0.5, log_prob=-1.0, tokens=["Hi", ".", "</s>"],
        token_log_probs=[-0.5, -0.25, -0.25],
        finish_reason=decoding_pb2.FINISH_REASON_END_OF_SEQUENCE,
    )  # fmt: skip
    hypothesis.alignment.source_tokens.extend(["Salut", "</s>"])
    hypothesis.alignment.target_tokens.extend(["Hi", ".", "</s>"])
    hypothesis.alignment.weights.extend([1.0, 0.0, 0.5, 0.5, 0.25, 0.75])
    link = hypothesis.alignment.word_links.add(weight=0.5)
    link.source.start, link.source.end, link.target.start, link.target.end = 0, 5, 2, 3
    server.always("Translate", answer)
    found = call(
        server.address, "translate", "Salut", model=ModelVersion(name="fr-en", version=3),
        options=TranslationOptions(beam_width=3),
    )  # fmt: skip
    assert found.text == "Hi."
    assert found.source_token_count == 2
    assert found.seed == 2**64 - 1
    assert found.ensemble_models == (ModelVersion(name="other", version=4),)
    (best,) = found.hypotheses
    assert (best.score, best.log_prob) == (-0.5, -1.0)
    assert best.finish_reason is FinishReason.END_OF_SEQUENCE
    assert best.tokens == ("Hi", ".", "</s>")
    assert best.token_log_probs == (-0.5, -0.25, -0.25)
    assert best.alignment.weights == ((1.0, 0.0), (0.5, 0.5), (0.25, 0.75))
    assert best.alignment.word_links == (WordLink(source=(0, 5), target=(2, 3), weight=0.5),)
    (request,) = server.requests
    assert (request.model.name, request.model.version) == ("fr-en", 3)
    assert request.options.beam_width == 3


def test_values_of_a_newer_server_are_unknown_not_an_error(server: FakeServer, call: Call) -> None:
    answer = TranslateResponse(model=FR_EN)
    hypothesis = answer.results.add().translation.hypotheses.add(text="Hi.")
    hypothesis.ParseFromString(b"\x20\x63")  # field 4, finish_reason: 99
    server.always("Translate", answer)
    found = call(server.address, "translate", "Salut")
    assert found.hypotheses[0].finish_reason is FinishReason.UNKNOWN
    assert found.hypotheses[0].alignment is None


@pytest.mark.parametrize(
    ("count", "message"), [(0, "answered 0 items of 1"), (2, "answered 2 items of 1")]
)
def test_a_server_that_loses_items_is_caught(
    server: FakeServer, call: Call, count: int, message: str
) -> None:
    server.always("Embed", EmbedResponse(results=[{}] * count))  # type: ignore[list-item]
    with pytest.raises(ServerError, match=message):
        call(server.address, "embed", "a")


def test_a_result_without_value_and_error_is_a_fault_of_the_server(
    server: FakeServer, call: Call
) -> None:
    server.always("Embed", EmbedResponse(results=[{}]))  # type: ignore[list-item]
    with pytest.raises(ServerError, match="empty"):
        call(server.address, "embed", "a")


def test_scores_with_their_signatures(server: FakeServer, call: Call) -> None:
    answer = EvaluationServiceScoreResponse()
    answer.scores.bleu.score, answer.scores.bleu.signature = 42.5, "nrefs:1"
    answer.scores.segment_count = 2
    server.always("Score", answer)
    scores = call(server.address, "score", ["a", ""], ["b", "c"])
    assert scores.bleu == MetricScore(score=42.5, signature="nrefs:1")
    assert (scores.chrf, scores.ter, scores.segment_count) == (None, None, 2)
    (request,) = server.requests
    assert [segment.hypothesis for segment in request.segments] == ["a", ""]
    assert [list(segment.references) for segment in request.segments] == [["b"], ["c"]]


def test_all_pages_of_the_models(server: FakeServer, call: Call) -> None:
    def page(request: Any, _: grpc.ServicerContext) -> ListModelsResponse:
        number = int(request.page_token or 1)
        models = [model_pb2.ModelInfo(name=f"m{number}", version=1)]
        return ListModelsResponse(models=models, next_page_token=str(number + 1) * (number < 3))

    server.answers["ListModels"] = page
    models = call(server.address, "list_models", family="translation", states=[ModelState.READY])
    assert [model.name for model in models] == ["m1", "m2", "m3"]
    assert {request.family for request in server.requests} == {"translation"}
    assert {tuple(request.states) for request in server.requests} == {
        (model_pb2.MODEL_STATE_READY,)
    }


def test_models_are_loaded_and_unloaded(server: FakeServer, call: Call) -> None:
    info = model_pb2.ModelInfo(name="fr-en", version=2, pinned=True, aliases=["french"])
    server.always("LoadModel", LoadModelResponse(model=info))
    server.always("UnloadModel", UnloadModelResponse(models=[info]))
    loaded = call(server.address, "load_model", ModelVersion(name="fr-en", version=2), pin=True)
    assert (loaded.name, loaded.version, loaded.pinned, loaded.aliases) == (
        "fr-en", 2, True, ("french",)
    )  # fmt: skip
    assert call(server.address, "unload_model", "fr-en") == [loaded]
    load, unload = server.requests
    assert (load.model.name, load.model.version, load.pin) == ("fr-en", 2, True)
    assert (unload.model.name, unload.model.HasField("version")) == ("fr-en", False)


def test_a_model_in_full(server: FakeServer, call: Call) -> None:
    info = model_pb2.ModelInfo(
        name="fr-en", version=3, family="translation", state=model_pb2.MODEL_STATE_READY,
        current=True, services=["s"], source_languages=["fr"], target_languages=["en"],
        size_bytes=14_000_000, parameter_count=7, vocabulary_size=8000,
        metrics={"test.bleu": 42.25}, load_time=Timestamp(seconds=1_700_000_000),
        load_duration=Duration(nanos=250_000_000),
    )  # fmt: skip
    server.always("GetModel", GetModelResponse(model=info, card="# fr-en", labels=["x"]))
    found = call(server.address, "get_model", "fr-en")
    assert (found.card, found.labels) == ("# fr-en", ("x",))
    assert found.info.state is ModelState.READY
    assert (found.info.vocabulary_size, found.info.dimensions) == (8000, None)
    assert found.info.metrics == {"test.bleu": 42.25}
    assert found.info.load_time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert found.info.load_seconds == 0.25


def test_an_error_of_the_call_is_raised_with_its_details(server: FakeServer, call: Call) -> None:
    wrong = error_details_pb2.BadRequest()
    wrong.field_violations.add(field="options.beam_width", description="is 0; give 1 to 64")
    status = status_pb2.Status(code=3, message="options.beam_width: is 0; give 1 to 64")
    status.details.add().Pack(wrong)
    server.fail("Translate", status)
    with pytest.raises(InvalidRequestError, match="is 0; give 1 to 64") as caught:
        call(server.address, "translate", ["a", "b"])
    assert caught.value.violations[0].field == "options.beam_width"
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_call_that_is_not_served(server: FakeServer, call: Call) -> None:
    def refuse(_: Any, context: grpc.ServicerContext) -> TranslateResponse:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not served yet")
        raise AssertionError("abort returned")

    server.answers["Translate"] = refuse
    with pytest.raises(NotServedError, match="not served yet"):
        call(server.address, "translate", "a")


def test_every_call_has_a_deadline(server: FakeServer, call: Call) -> None:
    server.always("Translate", TranslateResponse())
    for timeout in (None, 7.0):
        with pytest.raises(ServerError):
            call(server.address, "translate", "a", timeout=timeout)
    default, chosen = server.deadlines
    # gRPC rounds what it sends to three digits.
    assert 25 < default < 30.5
    assert 5 < chosen < 7.1


def test_a_passed_deadline_names_the_timeout(server: FakeServer, call: Call) -> None:
    answered = threading.Event()

    def answer_late(_: Any, __: grpc.ServicerContext) -> TranslateResponse:
        answered.wait(timeout=30)
        return TranslateResponse()

    server.answers["Translate"] = answer_late
    with pytest.raises(DeadlineExceededError, match=r"within 0\.1 s; give a longer timeout"):
        call(server.address, "translate", "a", timeout=0.1)
    answered.set()


def test_an_answer_over_grpcs_own_limit_is_taken(server: FakeServer, call: Call) -> None:
    answer = EmbedResponse()
    answer.results.add().word_vector.vector.values.extend([1.0] * (5 * 1024 * 1024 // 4))
    server.always("Embed", answer)
    assert len(call(server.address, "embed", "a").values) == 5 * 1024 * 1024 // 4


def test_an_answer_over_the_limit_is_refused(server: FakeServer) -> None:
    answer = EmbedResponse()
    answer.results.add().word_vector.vector.values.extend([1.0] * 1000)
    server.always("Embed", answer)
    with (
        Client(server.address, max_answer_bytes=1000) as client,
        pytest.raises(QuotaExceededError, match="larger than max"),
    ):
        client.embed("a")


def test_health_is_read_from_the_standard_service(server: FakeServer, call: Call) -> None:
    server.health.set("dragoman.v1.X", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert call(server.address, "check_health") is HealthStatus.SERVING
    assert call(server.address, "check_health", "dragoman.v1.X") is HealthStatus.NOT_SERVING
    with pytest.raises(NotFoundError):
        call(server.address, "check_health", "dragoman.v1.Y")
    call(server.address, "wait_until_ready", timeout=30)
    with pytest.raises(DeadlineExceededError, match=r"X at 127.* was not ready within 0\.2 s"):
        call(server.address, "wait_until_ready", "dragoman.v1.X", timeout=0.2)


def test_waiting_ends_when_the_service_serves(server: FakeServer, call: Call) -> None:
    server.health.set("slow", health_pb2.HealthCheckResponse.NOT_SERVING)

    def serve_once_watched() -> None:
        server.health.watched.wait(timeout=30)
        server.health.set("slow", health_pb2.HealthCheckResponse.SERVING)

    starting = threading.Thread(target=serve_once_watched)
    starting.start()
    call(server.address, "wait_until_ready", "slow", timeout=30)
    starting.join()


def test_a_server_that_is_gone_is_named(server: FakeServer, call: Call) -> None:
    server.stop()
    with pytest.raises(ServerUnreachableError, match=f"at {server.address} .*Connection refused"):
        call(server.address, "translate", "a")
    with pytest.raises(DeadlineExceededError, match="was not ready within"):
        call(server.address, "wait_until_ready", timeout=0.3)


def test_a_pair_or_question_needs_all_its_words() -> None:
    with Client() as client:
        with pytest.raises(TypeError, match="similarity takes two words, or a list of pairs"):
            client.similarity("a")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="analogy takes three words, or a list of questions"):
            client.analogy("a", "b")  # type: ignore[call-overload]


def test_a_closed_client_makes_no_calls(server: FakeServer) -> None:
    with Client(server.address) as client:
        pass
    with pytest.raises(ValueError, match="closed channel"):
        client.translate("a")


async def test_calls_of_one_async_client_run_at_the_same_time(server: FakeServer) -> None:
    together = threading.Barrier(3)

    def answer(request: Any, _: grpc.ServicerContext) -> TranslateResponse:
        together.wait(timeout=30)  # passes only when three calls are in flight
        response = TranslateResponse(model=FR_EN)
        response.results.add().translation.hypotheses.add(text=request.sources[0].text.upper())
        return response

    server.answers["Translate"] = answer
    async with AsyncClient(server.address) as client:
        found = await asyncio.gather(*(client.translate(text) for text in "abc"))
    assert [translation.text for translation in found] == ["A", "B", "C"]


def test_targets_are_scored_or_say_why_not(server: FakeServer, call: Callable[..., Any]) -> None:
    answer = ScoreTargetResponse()
    answer.results.add().hypothesis.text = "Hi"
    answer.results[0].hypothesis.log_prob = -2.5
    answer.results.add().error.MergeFrom(
        status_pb2.Status(code=3, message="pairs[1].source: is blank")
    )
    server.always("ScoreTarget", answer)
    found = call(
        server.address, "score_targets", [("Salut", "Hi"), (" ", "Hi")],
        length_normalization=LengthNormalization.AVERAGE,
    )  # fmt: skip
    assert (found[0].text, found[0].log_prob) == ("Hi", -2.5)
    assert "pairs[1].source" in str(found[1])
    (request,) = server.requests
    assert [(pair.source, pair.target) for pair in request.pairs] == [("Salut", "Hi"), (" ", "Hi")]
    assert request.return_tokens
    with pytest.raises(ServerError, match="answered 2 items of 1"):
        call(server.address, "score_targets", [("a", "b")])
