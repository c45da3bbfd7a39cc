"""The calls of the API as values: what to send, where, and how to read the answer.

Both clients run the same values; only waiting for the answer differs between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from dragoman.v1.embedding_service_pb2 import (
    AnalogyResponse,
    EmbedResponse,
    NearestResponse,
    SimilarityResponse,
)
from dragoman.v1.evaluation_service_pb2 import (
    EvaluateWordVectorsResponse,
    EvaluationServiceScoreResponse,
)
from dragoman.v1.language_model_service_pb2 import (
    GenerateResponse,
    LanguageModelServiceScoreResponse,
)
from dragoman.v1.model_service_pb2 import (
    GetModelResponse,
    ListModelsResponse,
    LoadModelResponse,
    UnloadModelResponse,
)
from dragoman.v1.translation_service_pb2 import ScoreTargetResponse, TranslateResponse
from dragoman_client import responses
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.options import (
    AnalogyMethod,
    GenerationOptions,
    LengthNormalization,
    ScoringOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.queries import Query, VectorQuery, WeightedWords
from dragoman_client.requests.fields import Model
from dragoman_client.requests.language_models import generate_request, score_texts_request
from dragoman_client.requests.models import (
    get_model_request,
    list_models_request,
    load_model_request,
    unload_model_request,
)
from dragoman_client.requests.translation import (
    PhrasesOfEach,
    score_request,
    score_targets_request,
    translate_request,
)
from dragoman_client.requests.words import (
    analogy_request,
    embed_request,
    evaluate_word_vectors_request,
    nearest_request,
    similarity_request,
)
from dragoman_client.responses import ItemResult
from dragoman_client.results import (
    GenerationEvent,
    HealthStatus,
    Hypothesis,
    ModelCard,
    ModelInfo,
    ModelPage,
    ModelState,
    Neighbors,
    Similarity,
    TextScore,
    Translation,
    TranslationScores,
    WordVector,
)
from dragoman_client.word_test_sets import EvaluationProgress, WordTestSet, WordVectorEvaluation

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")
Item = TypeVar("Item")
OneOrMany: TypeAlias = Item | list[ItemResult[Item]]
"""The answer to a call: for one item its answer, for many a list of answers and errors."""

_MODELS_A_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Response, Answer]):
    """One call: ``read`` turns the response into the answer, or raises."""

    method: str
    request: Message
    response_type: type[Response]
    read: Callable[[Response], Answer]


def embed(
    words: str | Sequence[str], *, model: Model, lookup: WordLookup | None, normalize: bool
) -> Call[EmbedResponse, OneOrMany[WordVector]]:
    many = [words] if isinstance(words, str) else words
    return Call(
        method="/dragoman.v1.EmbeddingService/Embed",
        request=embed_request(many, model=model, lookup=lookup, normalize=normalize),
        response_type=EmbedResponse,
        read=_reader(responses.embed_results, len(many), single=isinstance(words, str)),
    )


def similarity(
    first: str | Sequence[tuple[str, str]],
    second: str | None,
    *,
    model: Model,
    lookup: WordLookup | None,
) -> Call[SimilarityResponse, OneOrMany[Similarity]]:
    """One pair, ``first`` and ``second``; or many pairs as ``first``."""
    if isinstance(first, str):
        if second is None:
            raise TypeError("similarity takes two words, or a list of pairs")
        pairs: Sequence[tuple[str, str]] = [(first, second)]
    else:
        pairs = first
    single = isinstance(first, str)
    return Call(
        method="/dragoman.v1.EmbeddingService/Similarity",
        request=similarity_request(pairs, model=model, lookup=lookup),
        response_type=SimilarityResponse,
        read=_reader(responses.similarity_results, len(pairs), single=single),
    )


def nearest(
    queries: Query | Sequence[Query], *, model: Model, options: SearchOptions | None
) -> Call[NearestResponse, OneOrMany[Neighbors]]:
    single = isinstance(queries, str | VectorQuery | WeightedWords)
    many: Sequence[Query] = [queries] if single else queries  # type: ignore[list-item, assignment]
    return Call(
        method="/dragoman.v1.EmbeddingService/Nearest",
        request=nearest_request(many, model=model, options=options),
        response_type=NearestResponse,
        read=_reader(responses.nearest_results, len(many), single=single),
    )


def analogy(
    a: str | Sequence[tuple[str, str, str]],
    b: str | None,
    c: str | None,
    *,
    model: Model,
    options: SearchOptions | None,
    method: AnalogyMethod | None,
) -> Call[AnalogyResponse, OneOrMany[Neighbors]]:
    """One question, ``a``, ``b`` and ``c``; or many questions as ``a``."""
    if isinstance(a, str):
        if b is None or c is None:
            raise TypeError("analogy takes three words, or a list of questions")
        questions: Sequence[tuple[str, str, str]] = [(a, b, c)]
    else:
        questions = a
    single = isinstance(a, str)
    return Call(
        method="/dragoman.v1.EmbeddingService/Analogy",
        request=analogy_request(questions, model=model, options=options, method=method),
        response_type=AnalogyResponse,
        read=_reader(responses.analogy_results, len(questions), single=single),
    )


def translate(
    sources: str | Sequence[str],
    *,
    model: Model,
    options: TranslationOptions | None,
    target_prefix: str | Sequence[str] = "",
    required_phrases: PhrasesOfEach = (),
    banned_phrases: PhrasesOfEach = (),
) -> Call[TranslateResponse, OneOrMany[Translation]]:
    many = [sources] if isinstance(sources, str) else sources
    return Call(
        method="/dragoman.v1.TranslationService/Translate",
        request=translate_request(
            many, model=model, options=options, target_prefix=target_prefix,
            required_phrases=required_phrases, banned_phrases=banned_phrases,
        ),
        response_type=TranslateResponse,
        read=_reader(responses.translate_results, len(many), single=isinstance(sources, str)),
    )  # fmt: skip


def score_targets(
    pairs: Sequence[tuple[str, str]],
    *,
    model: Model,
    length_normalization: LengthNormalization | None,
    length_penalty: float | None,
    return_alignments: bool,
) -> Call[ScoreTargetResponse, list[ItemResult[Hypothesis]]]:
    return Call(
        method="/dragoman.v1.TranslationService/ScoreTarget",
        request=score_targets_request(
            pairs, model=model, length_normalization=length_normalization,
            length_penalty=length_penalty, return_alignments=return_alignments,
        ),
        response_type=ScoreTargetResponse,
        read=_list_reader(responses.score_target_results, len(pairs)),
    )  # fmt: skip


def score_texts(
    texts: str | Sequence[str],
    contexts: str | Sequence[str] | None,
    *,
    model: Model,
    return_tokens: bool,
    exclude_end_of_text: bool,
) -> Call[LanguageModelServiceScoreResponse, OneOrMany[TextScore]]:
    many = [texts] if isinstance(texts, str) else texts
    before = [contexts] if isinstance(contexts, str) else contexts
    return Call(
        method="/dragoman.v1.LanguageModelService/Score",
        request=score_texts_request(
            many, before, model=model, return_tokens=return_tokens,
            exclude_end_of_text=exclude_end_of_text,
        ),
        response_type=LanguageModelServiceScoreResponse,
        read=_reader(responses.score_texts_results, len(many), single=isinstance(texts, str)),
    )  # fmt: skip


def generate(
    prompt: str, *, model: Model, options: GenerationOptions | None
) -> Call[GenerateResponse, GenerationEvent]:
    """A stream: ``read`` turns each of its responses into an event."""
    return Call(
        method="/dragoman.v1.LanguageModelService/Generate",
        request=generate_request(prompt, model=model, options=options),
        response_type=GenerateResponse,
        read=responses.generation_event,
    )


def score(
    hypotheses: Sequence[str], references: Sequence[str], *, options: ScoringOptions | None
) -> Call[EvaluationServiceScoreResponse, TranslationScores]:
    return Call(
        method="/dragoman.v1.EvaluationService/Score",
        request=score_request(hypotheses, references, options=options),
        response_type=EvaluationServiceScoreResponse,
        read=responses.translation_scores,
    )


def evaluate_word_vectors(
    test_sets: Sequence[WordTestSet],
    *,
    model: Model,
    lookup: WordLookup | None,
    analogy_method: AnalogyMethod | None,
    max_rank: int | None,
) -> Call[EvaluateWordVectorsResponse, EvaluationProgress | WordVectorEvaluation | None]:
    """A stream: the progress every now and then, and the evaluation last."""
    return Call(
        method="/dragoman.v1.EvaluationService/EvaluateWordVectors",
        request=evaluate_word_vectors_request(
            test_sets, model=model, lookup=lookup, analogy_method=analogy_method, max_rank=max_rank
        ),
        response_type=EvaluateWordVectorsResponse,
        read=responses.word_vector_event,
    )


def list_models(
    *, family: str, states: Sequence[ModelState], page_token: str
) -> Call[ListModelsResponse, ModelPage]:
    return Call(
        method="/dragoman.v1.ModelService/ListModels",
        request=list_models_request(
            family=family, states=states, page_size=_MODELS_A_PAGE, page_token=page_token
        ),
        response_type=ListModelsResponse,
        read=responses.model_page,
    )


def get_model(model: Model) -> Call[GetModelResponse, ModelCard]:
    return Call(
        method="/dragoman.v1.ModelService/GetModel",
        request=get_model_request(model),
        response_type=GetModelResponse,
        read=responses.model_card,
    )


def load_model(model: Model, *, pin: bool) -> Call[LoadModelResponse, ModelInfo]:
    return Call(
        method="/dragoman.v1.ModelService/LoadModel",
        request=load_model_request(model, pin=pin),
        response_type=LoadModelResponse,
        read=responses.loaded_model,
    )


def unload_model(model: Model) -> Call[UnloadModelResponse, list[ModelInfo]]:
    return Call(
        method="/dragoman.v1.ModelService/UnloadModel",
        request=unload_model_request(model),
        response_type=UnloadModelResponse,
        read=responses.unloaded_models,
    )


def check_health(service: str, *, watch: bool = False) -> Call[Int32Value, HealthStatus]:
    """The health check, or a stream of its changes.

    HealthCheckRequest has the one field ``string service = 1`` and HealthCheckResponse the one
    field ``ServingStatus status = 1``: on the wire they are protobuf's own StringValue and
    Int32Value, which spares the light client a package.
    """
    return Call(
        method=f"/grpc.health.v1.Health/{'Watch' if watch else 'Check'}",
        request=StringValue(value=service),
        response_type=Int32Value,
        read=_health_status,
    )


def _health_status(response: Int32Value) -> HealthStatus:
    known = response.value in {status.value for status in HealthStatus}
    return HealthStatus(response.value) if known else HealthStatus.UNKNOWN


def _reader(
    read: Callable[[Response], list[ItemResult[Item]]], count: int, *, single: bool
) -> Callable[[Response], OneOrMany[Item]]:
    """Reads ``count`` results: as a list, or the only one, whose error is raised."""
    read_many = _list_reader(read, count)

    def read_results(response: Response) -> OneOrMany[Item]:
        results = read_many(response)
        if not single:
            return results
        (result,) = results
        if isinstance(result, DragomanClientError):
            raise result
        return result

    return read_results


def _list_reader(
    read: Callable[[Response], list[ItemResult[Item]]], count: int
) -> Callable[[Response], list[ItemResult[Item]]]:
    """Reads ``count`` results."""

    def read_results(response: Response) -> list[ItemResult[Item]]:
        results = read(response)
        if len(results) != count:
            raise ServerError(f"the server answered {len(results)} items of {count}")
        return results

    return read_results
