"""The services over a real channel: values and errors each in their slot, paths from the root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import sacrebleu
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dragoman.v1 import (
    decoding_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    model_pb2,
    model_service_pb2,
    translation_service_pb2,
)

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

pb = translation_service_pb2
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


def rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    # from_call also checks that code and message of the call are those of the rich status.
    status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    return status


def fields_of(status: status_pb2.Status) -> list[str]:
    """The paths of a BadRequest."""
    assert status.code == INVALID.value[0]
    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    return [violation.field for violation in detail.field_violations]


async def refused_fields(call: Any) -> list[str]:
    """Awaits a call that must fail with INVALID_ARGUMENT; the fields that it names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is INVALID
    return fields_of(rich_status(caught.value))


def sources(*texts: str) -> list[pb.TranslationSource]:
    return [pb.TranslationSource(text=text) for text in texts]


async def test_embed_answers_each_word_or_says_why_not(server: RunningServer) -> None:
    request = embedding_service_pb2.EmbedRequest(
        words=["cats", "unicorn", " ", "DOG", "x" * 1001], normalize=True
    )
    response = await server.embedding.Embed(request)
    kinds = [result.WhichOneof("result") for result in response.results]
    assert kinds == ["word_vector", "error", "error", "word_vector", "error"]
    assert (response.model.name, response.model.version, response.dimensions) == ("animals", 1, 3)
    cats, unicorn, blank, dog, long = response.results
    np.testing.assert_allclose(cats.word_vector.vector.values, [0.5**0.5, 0.5**0.5, 0], rtol=1e-6)
    assert dog.word_vector.word.word == "dog"
    assert dog.word_vector.word.match == embedding_service_pb2.WORD_MATCH_IGNORING_CASE
    assert unicorn.error.code == NOT_FOUND
    resource = error_details_pb2.ResourceInfo()
    assert unicorn.error.details[0].Unpack(resource)
    assert (resource.resource_type, resource.resource_name) == ("word", "unicorn")
    assert fields_of(blank.error) == ["words[2]"]
    assert fields_of(long.error) == ["words[4]"]


async def test_exact_lookup_does_not_fall_back(server: RunningServer) -> None:
    request = embedding_service_pb2.EmbedRequest(
        words=["DOG"], lookup=embedding_service_pb2.WORD_LOOKUP_EXACT
    )
    assert (await server.embedding.Embed(request)).results[0].error.code == NOT_FOUND


async def test_similarity_gives_cosines_and_names_the_wrong_word(server: RunningServer) -> None:
    pair = embedding_service_pb2.WordPair
    request = embedding_service_pb2.SimilarityRequest(
        pairs=[
            pair(first="cat", second="cats"),
            pair(first="cat"),
            pair(first="zero", second="cat"),
        ]
    )
    cosine, missing, zero = (await server.embedding.Similarity(request)).results
    assert cosine.similarity.cosine == pytest.approx(0.5**0.5)
    assert fields_of(missing.error) == ["pairs[1].second"]
    assert fields_of(zero.error) == ["pairs[2].first"]


async def test_nearest_leaves_the_query_out_and_answers_no_more_than_there_are(
    server: RunningServer,
) -> None:
    query = embedding_service_pb2.NearestQuery
    request = embedding_service_pb2.NearestRequest(
        queries=[query(word="cat"), query(), query(word="unicorn")],
        options=embedding_service_pb2.SearchOptions(k=1000),
    )
    found, empty, unknown = (await server.embedding.Nearest(request)).results
    assert [one.word for one in found.neighbors.neighbors] == ["cats", "the", "dog", "dogs"]
    assert found.neighbors.method == embedding_service_pb2.SEARCH_METHOD_EXACT
    assert fields_of(empty.error) == ["queries[1].word"]
    assert unknown.error.code == NOT_FOUND


async def test_analogy_completes_the_question(server: RunningServer) -> None:
    question = embedding_service_pb2.AnalogyQuestion
    request = embedding_service_pb2.AnalogyRequest(
        questions=[question(a="cats", b="cat", c="dogs"), question(a="cat", b="", c="dog")],
        options=embedding_service_pb2.SearchOptions(k=1),
    )
    found, blank = (await server.embedding.Analogy(request)).results
    assert [one.word for one in found.answers.neighbors] == ["dog"]
    assert [word.word for word in found.answers.query_words] == ["cats", "cat", "dogs"]
    assert fields_of(blank.error) == ["questions[1].b"]


@pytest.mark.parametrize(
    ("k", "queries", "fields"),
    [
        (0, 1, ["options.k"]),
        (1001, 1, ["options.k"]),
        (1000, 101, ["options.k"]),
        (1, 0, ["queries"]),
        (0, 1001, ["queries", "options.k"]),
    ],
)
async def test_a_search_beyond_the_limits_is_refused(
    server: RunningServer, k: int, queries: int, fields: list[str]
) -> None:
    request = embedding_service_pb2.NearestRequest(
        queries=[embedding_service_pb2.NearestQuery(word="cat")] * queries,
        options=embedding_service_pb2.SearchOptions(k=k),
    )
    assert await refused_fields(server.embedding.Nearest(request)) == fields


async def test_translate_answers_in_order_with_bad_texts_in_their_slots(
    server: RunningServer,
) -> None:
    texts = sources("a b", "", "\u2003\t", "c d", "\x00\x01", "x" * 10_001, "unspeakable e", "f")
    response = await server.translation.Translate(pb.TranslateRequest(sources=texts))
    answers = [
        result.translation.hypotheses[0].text if result.HasField("translation") else result.error
        for result in response.results
    ]
    good = [answer for answer in answers if isinstance(answer, str)]
    assert good == ["b a", "d c", "f"]
    for index in (1, 2, 4, 5, 6):
        assert fields_of(answers[index]) == [f"sources[{index}].text"]
    assert "10,000" in answers[5].message
    assert server.translator.calls[-1] == ("a b", "c d", "f")


async def test_only_bad_texts_do_not_fail_the_call(server: RunningServer) -> None:
    response = await server.translation.Translate(pb.TranslateRequest(sources=sources("")))
    assert fields_of(response.results[0].error) == ["sources[0].text"]
    assert server.translator.calls == []


async def test_translate_returns_tokens_and_alignments_only_when_asked(
    server: RunningServer,
) -> None:
    plain = pb.TranslateRequest(sources=sources("a b c"))
    options = pb.TranslationOptions(return_tokens=True, return_alignments=True, max_length=2)
    full = pb.TranslateRequest(sources=sources("a b c"), options=options)
    (bare,) = (await server.translation.Translate(plain)).results
    (rich,) = (await server.translation.Translate(full)).results
    hypothesis = bare.translation.hypotheses[0]
    assert not hypothesis.tokens
    assert not hypothesis.HasField("alignment")
    assert hypothesis.finish_reason == decoding_pb2.FINISH_REASON_END_OF_SEQUENCE
    assert bare.translation.source_token_count == 4
    hypothesis = rich.translation.hypotheses[0]
    assert list(hypothesis.tokens) == ["c", "b", "a", "</s>"]
    assert hypothesis.finish_reason == decoding_pb2.FINISH_REASON_MAX_LENGTH
    assert sum(hypothesis.token_log_probs) == pytest.approx(hypothesis.log_prob)
    alignment = hypothesis.alignment
    rows = np.reshape(
        alignment.weights, (len(alignment.target_tokens), len(alignment.source_tokens))
    )
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)


async def test_alignments_that_would_not_fit_into_memory_are_refused(
    server_with: ServerFactory,
) -> None:
    options = pb.TranslationOptions(return_alignments=True, beam_width=64)
    request = pb.TranslateRequest(sources=sources("a", "word " * 500), options=options)
    async with server_with({"limits": {"alignment_bytes": 1_000_000}}) as server:
        short, long = (await server.translation.Translate(request)).results
    assert short.HasField("translation")
    assert fields_of(long.error) == ["sources[1].text"]
    assert "1,000,000" in long.error.message


NONE = decoding_pb2.LENGTH_NORMALIZATION_NONE


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"beam_width": 0}, ["options.beam_width"]),
        ({"beam_width": 65}, ["options.beam_width"]),
        ({"n_best": 6}, ["options.n_best"]),
        ({"n_best": 0}, ["options.n_best"]),
        ({"length_penalty": float("nan")}, ["options.length_penalty"]),
        ({"length_penalty": float("inf")}, ["options.length_penalty"]),
        ({"length_penalty": -1}, ["options.length_penalty"]),
        ({"length_penalty": 0, "length_normalization": NONE}, ["options.length_penalty"]),
        ({"length_normalization": 77}, ["options.length_normalization"]),
        ({"max_length": 0}, ["options.max_length"]),
        ({"max_length": 10_001}, ["options.max_length"]),
        ({"min_length": 4, "max_length": 3}, ["options.min_length"]),
        ({"max_length_ratio": 0}, ["options.max_length_ratio"]),
        ({"min_length_ratio": -1}, ["options.min_length_ratio"]),
        ({"coverage_penalty": float("nan")}, ["options.coverage_penalty"]),
        ({"no_repeat_ngram_size": 0}, ["options.no_repeat_ngram_size"]),
        ({"early_stopping": 9}, ["options.early_stopping"]),
        ({"repetition_penalty": 0.5}, ["options.repetition_penalty"]),
        ({"repetition_penalty": float("nan")}, ["options.repetition_penalty"]),
        (
            {"banned_phrases": ["a", " ", "b" * 201]},
            ["options.banned_phrases[1]", "options.banned_phrases[2]"],
        ),
        ({"banned_phrases": ["a"] * 65}, ["options.banned_phrases"]),
        ({"diverse_beams": {}}, ["options.diverse_beams.groups"]),
        ({"diverse_beams": {"groups": 2}}, ["options.diverse_beams.groups"]),  # 2 of 5
        ({"diverse_beams": {"groups": 5, "strength": -1}}, ["options.diverse_beams.strength"]),
        ({"beam_width": 100, "max_length": 0}, ["options.beam_width", "options.max_length"]),
    ],
)
async def test_wrong_translation_options_fail_the_call_by_name(
    server: RunningServer, options: dict[str, Any], fields: list[str]
) -> None:
    request = pb.TranslateRequest(sources=sources("a"), options=pb.TranslationOptions(**options))
    assert await refused_fields(server.translation.Translate(request)) == fields
    assert server.translator.calls == []


async def test_too_many_sources_are_refused_with_the_limit(server: RunningServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="1,024") as caught:
        await server.translation.Translate(pb.TranslateRequest(sources=sources("a") * 1025))
    assert fields_of(rich_status(caught.value)) == ["sources"]


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        ({"name": "none"}, grpc.StatusCode.NOT_FOUND),
        ({"name": "backwards", "version": 2}, grpc.StatusCode.NOT_FOUND),
        ({"name": "backwards", "version": 0}, INVALID),
        ({"name": "../etc"}, INVALID),
        ({"name": "animals"}, INVALID),
    ],
)
async def test_a_model_that_cannot_answer_is_refused(
    server: RunningServer, selector: dict[str, Any], code: grpc.StatusCode
) -> None:
    model = model_pb2.ModelSelector(**selector)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.translation.Translate(pb.TranslateRequest(model=model, sources=sources("a")))
    assert caught.value.code() is code
    assert rich_status(caught.value).details


async def test_scores_are_those_of_sacrebleu(server: RunningServer) -> None:
    hypotheses = ["The cat sat on the mat.", "", "He goes Home now, at last."]
    references = ["The cat is on the mat.", "Yes.", "he goes home now."]
    segment = evaluation_service_pb2.ScoredSegment
    request = evaluation_service_pb2.EvaluationServiceScoreRequest(
        segments=[
            segment(hypothesis=hypothesis, references=[reference])
            for hypothesis, reference in zip(hypotheses, references, strict=True)
        ],
        options=evaluation_service_pb2.ScoringOptions(
            metrics=[evaluation_service_pb2.TRANSLATION_METRIC_BLEU], lowercase=True
        ),
    )
    scores = (await server.evaluation.Score(request)).scores
    expected = sacrebleu.corpus_bleu(hypotheses, [references], lowercase=True)
    assert scores.bleu.score == expected.score
    assert "case:lc" in scores.bleu.signature
    assert scores.segment_count == 3
    assert not scores.HasField("chrf")
    assert not scores.HasField("ter")


@pytest.mark.parametrize(
    ("segments", "metrics", "fields"),
    [
        ([], [], ["segments"]),
        ([("a", [])], [], ["segments[0].references"]),
        ([("a", ["b"]), ("a", ["b", "c"])], [], ["segments[1].references"]),
        ([("a", [" "])], [], ["segments[0].references[0]"]),
        ([("a", ["b"])], [0], ["options.metrics[0]"]),
        ([("a", ["b"])], [1, 9], ["options.metrics[1]"]),
    ],
)
async def test_a_corpus_that_cannot_be_scored_is_refused(
    server: RunningServer,
    segments: list[tuple[str, list[str]]],
    metrics: list[Any],
    fields: list[str],
) -> None:
    request = evaluation_service_pb2.EvaluationServiceScoreRequest(
        segments=[
            evaluation_service_pb2.ScoredSegment(hypothesis=hypothesis, references=references)
            for hypothesis, references in segments
        ],
        options=evaluation_service_pb2.ScoringOptions(metrics=metrics),
    )
    assert await refused_fields(server.evaluation.Score(request)) == fields


async def test_models_come_in_pages_that_join_without_gaps(server: RunningServer) -> None:
    names, token = [], ""
    while True:
        request = model_service_pb2.ListModelsRequest(page_size=1, page_token=token)
        response = await server.models.ListModels(request)
        names += [(model.name, list(model.default_for)) for model in response.models]
        token = response.next_page_token
        if not token:
            break
    assert names == [
        ("animals", ["dragoman.v1.EmbeddingService"]),
        ("backwards", ["dragoman.v1.TranslationService"]),
    ]


async def test_models_are_filtered_by_family_and_state(server: RunningServer) -> None:
    list_request = model_service_pb2.ListModelsRequest
    found = await server.models.ListModels(list_request(family="translation"))
    assert [model.name for model in found.models] == ["backwards"]
    failed = list_request(states=[model_pb2.MODEL_STATE_FAILED])
    assert not (await server.models.ListModels(failed)).models


@pytest.mark.parametrize(
    ("request_fields", "fields"),
    [
        ({"page_size": 1001}, ["page_size"]),
        ({"page_token": "?"}, ["page_token"]),
        ({"page_token": "bm9uZQ=="}, ["page_token"]),
        ({"states": [0]}, ["states[0]"]),
        ({"states": [1, 88]}, ["states[1]"]),
    ],
)
async def test_a_wrong_list_request_is_refused(
    server: RunningServer, request_fields: dict[str, Any], fields: list[str]
) -> None:
    request = model_service_pb2.ListModelsRequest(**request_fields)
    assert await refused_fields(server.models.ListModels(request)) == fields


async def test_a_page_token_belongs_to_its_filters(server: RunningServer) -> None:
    first = await server.models.ListModels(model_service_pb2.ListModelsRequest(page_size=1))
    request = model_service_pb2.ListModelsRequest(
        page_token=first.next_page_token, family="translation"
    )
    assert await refused_fields(server.models.ListModels(request)) == ["page_token"]


async def test_get_model_needs_a_name(server: RunningServer) -> None:
    request = model_service_pb2.GetModelRequest()
    assert await refused_fields(server.models.GetModel(request)) == ["model.name"]
