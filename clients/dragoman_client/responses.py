"""Reads plain values out of the API's response messages."""

from __future__ import annotations

import enum
from datetime import UTC
from typing import Protocol, TypeAlias, TypeVar

from google.rpc import status_pb2

from dragoman.v1 import decoding_pb2, embedding_service_pb2, model_pb2
from dragoman.v1.embedding_service_pb2 import (
    AnalogyResponse,
    EmbedResponse,
    NearestResponse,
    SimilarityResponse,
)
from dragoman.v1.evaluation_service_pb2 import (
    EvaluateWordVectorsResponse,
    EvaluationServiceScoreResponse,
    WordVectorTestSetResult,
)
from dragoman.v1.evaluation_service_pb2 import TranslationScores as TranslationScoresMessage
from dragoman.v1.language_model_service_pb2 import (
    GenerateResponse,
    LanguageModelServiceScoreResponse,
)
from dragoman.v1.language_model_service_pb2 import TextScore as TextScoreMessage
from dragoman.v1.model_service_pb2 import (
    GetModelResponse,
    ListModelsResponse,
    LoadModelResponse,
    UnloadModelResponse,
)
from dragoman.v1.translation_service_pb2 import Alignment as AlignmentMessage
from dragoman.v1.translation_service_pb2 import Hypothesis as HypothesisMessage
from dragoman.v1.translation_service_pb2 import (
    ScoreTargetResponse,
    TranslateResponse,
    TranslateStreamSummary,
    TranslationResult,
)
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.options import SearchMethod
from dragoman_client.results import (
    Alignment,
    FinishReason,
    GenerationChunk,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    Hypothesis,
    MetricScore,
    ModelCard,
    ModelInfo,
    ModelPage,
    ModelState,
    ModelVersion,
    Neighbor,
    Neighbors,
    ResolvedWord,
    Similarity,
    StreamSummary,
    TextScore,
    TokenScore,
    Translation,
    TranslationScores,
    WordLink,
    WordMatch,
    WordVector,
)
from dragoman_client.status_errors import error_of_status
from dragoman_client.word_test_sets import (
    EvaluationProgress,
    WordVectorEvaluation,
    WordVectorScore,
)

_SEARCH_METHODS = {
    embedding_service_pb2.SEARCH_METHOD_EXACT: SearchMethod.EXACT,
    embedding_service_pb2.SEARCH_METHOD_APPROXIMATE: SearchMethod.APPROXIMATE,
}

Answer = TypeVar("Answer")
ItemResult: TypeAlias = Answer | DragomanClientError
"""What became of one item of a call with many: its answer, or its error (not raised)."""


def embed_results(response: EmbedResponse) -> list[ItemResult[WordVector]]:
    model = model_version_of(response.model)
    return [
        WordVector(
            word=_resolved_word(result.word_vector.word),
            values=tuple(result.word_vector.vector.values),
            model=model,
        )
        if result.HasField("word_vector")
        else item_error(result)
        for result in response.results
    ]


def similarity_results(response: SimilarityResponse) -> list[ItemResult[Similarity]]:
    model = model_version_of(response.model)
    return [
        Similarity(
            cosine=result.similarity.cosine,
            first=_resolved_word(result.similarity.first),
            second=_resolved_word(result.similarity.second),
            model=model,
        )
        if result.HasField("similarity")
        else item_error(result)
        for result in response.results
    ]


def nearest_results(response: NearestResponse) -> list[ItemResult[Neighbors]]:
    model = model_version_of(response.model)
    return [
        _neighbors(result.neighbors, model) if result.HasField("neighbors") else item_error(result)
        for result in response.results
    ]


def analogy_results(response: AnalogyResponse) -> list[ItemResult[Neighbors]]:
    model = model_version_of(response.model)
    return [
        _neighbors(result.answers, model) if result.HasField("answers") else item_error(result)
        for result in response.results
    ]


def translate_results(response: TranslateResponse) -> list[ItemResult[Translation]]:
    model = model_version_of(response.model)
    partners = tuple(model_version_of(partner) for partner in response.ensemble_models)
    return [translation_result(result, model, partners) for result in response.results]


def translation_result(
    result: TranslationResult, model: ModelVersion, ensemble_models: tuple[ModelVersion, ...] = ()
) -> ItemResult[Translation]:
    if not (result.HasField("translation") and result.translation.hypotheses):
        return item_error(result)
    return Translation(
        hypotheses=tuple(_hypothesis(found) for found in result.translation.hypotheses),
        source_token_count=result.translation.source_token_count,
        model=model,
        seed=result.translation.seed if result.translation.HasField("seed") else None,
        ensemble_models=ensemble_models,
    )


def stream_summary(message: TranslateStreamSummary) -> StreamSummary:
    return StreamSummary(
        model=model_version_of(message.model),
        item_count=message.item_count,
        error_count=message.error_count,
        source_token_count=message.source_token_count,
        target_token_count=message.target_token_count,
        ensemble_models=tuple(model_version_of(partner) for partner in message.ensemble_models),
    )


def score_target_results(response: ScoreTargetResponse) -> list[ItemResult[Hypothesis]]:
    return [
        _hypothesis(result.hypothesis) if result.HasField("hypothesis") else item_error(result)
        for result in response.results
    ]


def score_texts_results(
    response: LanguageModelServiceScoreResponse,
) -> list[ItemResult[TextScore]]:
    model = model_version_of(response.model)
    return [
        _text_score(result.score, model) if result.HasField("score") else item_error(result)
        for result in response.results
    ]


def generation_event(response: GenerateResponse) -> GenerationEvent:
    match response.WhichOneof("event"):
        case "started":
            started = response.started
            return GenerationStarted(
                model=model_version_of(started.model),
                prompt_token_count=started.prompt_token_count,
                seed=started.seed if started.HasField("seed") else None,
            )
        case "chunk":
            chunk = response.chunk
            return GenerationChunk(
                sample_index=chunk.sample_index,
                text=chunk.text,
                tokens=tuple(chunk.tokens),
                token_log_probs=tuple(chunk.token_log_probs),
            )
        case "finished":
            finished = response.finished
            return GenerationFinished(
                sample_index=finished.sample_index,
                finish_reason=_member(
                    FinishReason, "FINISH_REASON", decoding_pb2.FinishReason, finished.finish_reason
                ),
                token_count=finished.token_count,
                log_prob=finished.log_prob,
                score=finished.score if finished.HasField("score") else None,
            )
    raise ServerError("an event of the stream is empty; is the server a newer version?")


def translation_scores(response: EvaluationServiceScoreResponse) -> TranslationScores:
    scores = response.scores
    return TranslationScores(
        bleu=_metric_score(scores, "bleu"),
        chrf=_metric_score(scores, "chrf"),
        ter=_metric_score(scores, "ter"),
        segment_count=scores.segment_count,
    )


def word_vector_event(
    response: EvaluateWordVectorsResponse,
) -> EvaluationProgress | WordVectorEvaluation | None:
    """None for an event that only newer servers send."""
    if response.HasField("progress"):
        progress = response.progress
        return EvaluationProgress(completed=progress.completed_count, total=progress.total_count)
    if not response.HasField("evaluation"):
        return None
    return WordVectorEvaluation(
        model=model_version_of(response.evaluation.model),
        results=tuple(map(_word_vector_score, response.evaluation.results)),
    )


def _word_vector_score(result: WordVectorTestSetResult) -> ItemResult[WordVectorScore]:
    if not result.HasField("score"):
        return item_error(result)
    score = result.score
    return WordVectorScore(
        name=score.name,
        item_count=score.item_count,
        covered_count=score.covered_count,
        spearman=score.spearman if score.HasField("spearman") else None,
        accuracy=score.accuracy if score.HasField("accuracy") else None,
    )


def model_page(response: ListModelsResponse) -> ModelPage:
    return ModelPage(
        models=tuple(_model_info(model) for model in response.models),
        next_page_token=response.next_page_token,
    )


def model_card(response: GetModelResponse) -> ModelCard:
    return ModelCard(
        info=_model_info(response.model), card=response.card, labels=tuple(response.labels)
    )


def loaded_model(response: LoadModelResponse) -> ModelInfo:
    return _model_info(response.model)


def unloaded_models(response: UnloadModelResponse) -> list[ModelInfo]:
    return [_model_info(model) for model in response.models]


class _Result(Protocol):
    @property
    def error(self) -> status_pb2.Status: ...


def item_error(result: _Result) -> DragomanClientError:
    if result.error.code == 0:
        return ServerError("the server's answer for this item is empty; is it a newer version?")
    return error_of_status(result.error)


def model_version_of(message: model_pb2.ModelVersion) -> ModelVersion:
    return ModelVersion(name=message.name, version=message.version)


def _resolved_word(message: embedding_service_pb2.ResolvedWord) -> ResolvedWord:
    return ResolvedWord(
        word=message.word,
        match=_member(WordMatch, "WORD_MATCH", embedding_service_pb2.WordMatch, message.match),
        rank=message.rank,
    )


def _neighbors(message: embedding_service_pb2.Neighbors, model: ModelVersion) -> Neighbors:
    return Neighbors(
        neighbors=tuple(
            Neighbor(word=found.word, score=found.score, rank=found.rank)
            for found in message.neighbors
        ),
        query_words=tuple(_resolved_word(word) for word in message.query_words),
        model=model,
        method=_SEARCH_METHODS.get(message.method),
    )


def _text_score(message: TextScoreMessage, model: ModelVersion) -> TextScore:
    return TextScore(
        log_prob=message.log_prob,
        token_count=message.token_count,
        word_count=message.word_count,
        character_count=message.character_count,
        unknown_token_count=message.unknown_token_count,
        perplexity=message.perplexity if message.HasField("perplexity") else None,
        word_perplexity=message.word_perplexity if message.HasField("word_perplexity") else None,
        bits_per_character=message.bits_per_character
        if message.HasField("bits_per_character")
        else None,
        tokens=tuple(
            TokenScore(
                token=token.token,
                log_prob=token.log_prob,
                start=token.span.start,
                end=token.span.end,
            )
            for token in message.tokens
        ),
        model=model,
    )


def _hypothesis(message: HypothesisMessage) -> Hypothesis:
    return Hypothesis(
        text=message.text,
        score=message.score,
        log_prob=message.log_prob,
        finish_reason=_member(
            FinishReason, "FINISH_REASON", decoding_pb2.FinishReason, message.finish_reason
        ),
        tokens=tuple(message.tokens),
        token_log_probs=tuple(message.token_log_probs),
        alignment=_alignment(message.alignment) if message.HasField("alignment") else None,
    )


def _alignment(message: AlignmentMessage) -> Alignment:
    width = len(message.source_tokens)
    weights = tuple(message.weights)  # (T * S,) -> (T, S)
    return Alignment(
        source_tokens=tuple(message.source_tokens),
        target_tokens=tuple(message.target_tokens),
        weights=tuple(
            weights[start : start + width] for start in range(0, len(weights), max(width, 1))
        ),
        word_links=tuple(
            WordLink(
                source=(link.source.start, link.source.end),
                target=(link.target.start, link.target.end),
                weight=link.weight,
            )
            for link in message.word_links
        ),
    )


def _metric_score(scores: TranslationScoresMessage, name: str) -> MetricScore | None:
    if not scores.HasField(name):  # type: ignore[arg-type]
        return None
    score = getattr(scores, name)
    return MetricScore(score=score.score, signature=score.signature)


def _model_info(message: model_pb2.ModelInfo) -> ModelInfo:
    return ModelInfo(
        name=message.name,
        version=message.version,
        family=message.family,
        state=_member(ModelState, "MODEL_STATE", model_pb2.ModelState, message.state),
        failure_reason=message.failure_reason,
        current=message.current,
        pinned=message.pinned,
        aliases=tuple(message.aliases),
        services=tuple(message.services),
        default_for=tuple(message.default_for),
        description=message.description,
        license=message.license,
        source_languages=tuple(message.source_languages),
        target_languages=tuple(message.target_languages),
        size_bytes=message.size_bytes,
        parameter_count=message.parameter_count,
        vocabulary_size=message.vocabulary_size if message.HasField("vocabulary_size") else None,
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        metrics=dict(sorted(message.metrics.items())),
        load_time=message.load_time.ToDatetime(UTC) if message.HasField("load_time") else None,
        load_seconds=message.load_duration.ToTimedelta().total_seconds()
        if message.HasField("load_duration")
        else None,
    )


_Member = TypeVar("_Member", bound=enum.Enum)
_Number = TypeVar("_Number", contravariant=True)


class _Names(Protocol[_Number]):
    """A generated enum: the names of its values, by number."""

    def Name(self, number: _Number) -> str: ...  # noqa: N802 - protobuf's name


def _member(
    members: type[_Member], prefix: str, names: _Names[_Number], number: _Number
) -> _Member:
    """The client's member for a number of the API; UNKNOWN for one that only newer servers use."""
    try:
        return members(names.Name(number).removeprefix(f"{prefix}_").lower())
    except ValueError:
        return members("unknown")
