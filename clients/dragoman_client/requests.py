"""Builds the API's request messages from plain values.

Nothing is checked here that the server checks: only what cannot be written into a message at all
is refused, with an InvalidRequestError that names the field as the server would.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from dragoman.v1 import decoding_pb2
from dragoman.v1.embedding_service_pb2 import (
    AnalogyQuestion,
    AnalogyRequest,
    EmbedRequest,
    NearestQuery,
    NearestRequest,
    SimilarityRequest,
    WordPair,
)
from dragoman.v1.embedding_service_pb2 import SearchOptions as SearchOptionsMessage
from dragoman.v1.embedding_service_pb2 import WordLookup as WordLookupMessage
from dragoman.v1.evaluation_service_pb2 import BleuTokenizer as BleuTokenizerMessage
from dragoman.v1.evaluation_service_pb2 import EvaluationServiceScoreRequest, ScoredSegment
from dragoman.v1.evaluation_service_pb2 import ScoringOptions as ScoringOptionsMessage
from dragoman.v1.evaluation_service_pb2 import TranslationMetric as TranslationMetricMessage
from dragoman.v1.model_pb2 import ModelSelector
from dragoman.v1.model_pb2 import ModelState as ModelStateMessage
from dragoman.v1.model_service_pb2 import GetModelRequest, ListModelsRequest
from dragoman.v1.translation_service_pb2 import (
    ScoreTargetRequest,
    TranslateRequest,
    TranslationPair,
    TranslationSource,
)
from dragoman.v1.translation_service_pb2 import TranslationOptions as TranslationOptionsMessage
from dragoman_client.errors import InvalidRequestError
from dragoman_client.options import (
    LengthNormalization,
    ScoringOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.results import ModelState, ModelVersion

_Number = TypeVar("_Number", covariant=True)

_TRANSLATION_NUMBERS = (
    "beam_width", "n_best", "length_penalty", "max_length", "min_length", "max_length_ratio",
    "min_length_ratio", "coverage_penalty", "no_repeat_ngram_size",
)  # fmt: skip

Model = str | ModelVersion
"""A model by name, or one version of it; the empty name is the server's default."""


def embed_request(
    words: Sequence[str], *, model: Model, lookup: WordLookup | None, normalize: bool
) -> EmbedRequest:
    request = EmbedRequest(model=_selector(model), normalize=normalize)
    for i, word in enumerate(words):
        request.words.append(_text(word, f"words[{i}]"))
    if lookup is not None:
        request.lookup = _number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def similarity_request(
    pairs: Sequence[tuple[str, str]], *, model: Model, lookup: WordLookup | None
) -> SimilarityRequest:
    request = SimilarityRequest(model=_selector(model))
    for i, (first, second) in enumerate(pairs):
        pair = WordPair(
            first=_text(first, f"pairs[{i}].first"), second=_text(second, f"pairs[{i}].second")
        )
        request.pairs.append(pair)
    if lookup is not None:
        request.lookup = _number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def nearest_request(
    words: Sequence[str], *, model: Model, options: SearchOptions | None
) -> NearestRequest:
    request = NearestRequest(model=_selector(model), options=_search_options(options))
    for i, word in enumerate(words):
        request.queries.append(NearestQuery(word=_text(word, f"queries[{i}].word")))
    return request


def analogy_request(
    questions: Sequence[tuple[str, str, str]], *, model: Model, options: SearchOptions | None
) -> AnalogyRequest:
    request = AnalogyRequest(model=_selector(model), options=_search_options(options))
    for i, (a, b, c) in enumerate(questions):
        path = f"questions[{i}]"
        question = AnalogyQuestion(
            a=_text(a, f"{path}.a"), b=_text(b, f"{path}.b"), c=_text(c, f"{path}.c")
        )
        request.questions.append(question)
    return request


def translate_request(
    sources: Sequence[str],
    *,
    model: Model,
    options: TranslationOptions | None,
    target_prefix: str | Sequence[str] = "",
) -> TranslateRequest:
    request = TranslateRequest(model=_selector(model), options=_translation_options(options))
    prefixes = [target_prefix] * len(sources) if isinstance(target_prefix, str) else target_prefix
    _check_counts("target_prefix", len(prefixes), "sources", len(sources))
    for i, (source, prefix) in enumerate(zip(sources, prefixes, strict=True)):
        path = f"sources[{i}]"
        request.sources.append(
            TranslationSource(
                text=_text(source, f"{path}.text"),
                target_prefix=_text(prefix, f"{path}.target_prefix"),
            )
        )
    return request


def score_targets_request(
    pairs: Sequence[tuple[str, str]],
    *,
    model: Model,
    length_normalization: LengthNormalization | None,
    length_penalty: float | None,
    return_alignments: bool,
) -> ScoreTargetRequest:
    request = ScoreTargetRequest(
        model=_selector(model), return_tokens=True, return_alignments=return_alignments
    )
    if length_normalization is not None:
        request.length_normalization = _normalization(length_normalization)
    _set(request, "length_penalty", length_penalty, "length_penalty")
    for i, (source, target) in enumerate(pairs):
        path = f"pairs[{i}]"
        request.pairs.append(
            TranslationPair(
                source=_text(source, f"{path}.source"), target=_text(target, f"{path}.target")
            )
        )
    return request


def score_request(
    hypotheses: Sequence[str], references: Sequence[str], *, options: ScoringOptions | None
) -> EvaluationServiceScoreRequest:
    _check_counts("references", len(references), "hypotheses", len(hypotheses))
    request = EvaluationServiceScoreRequest(options=_scoring_options(options))
    for i, (hypothesis, reference) in enumerate(zip(hypotheses, references, strict=True)):
        path = f"segments[{i}]"
        segment = ScoredSegment(
            hypothesis=_text(hypothesis, f"{path}.hypothesis"),
            references=[_text(reference, f"{path}.references[0]")],
        )
        request.segments.append(segment)
    return request


def list_models_request(
    *, family: str, states: Sequence[ModelState], page_size: int, page_token: str
) -> ListModelsRequest:
    request = ListModelsRequest(family=_text(family, "family"), page_token=page_token)
    _set(request, "page_size", page_size, "page_size")
    request.states.extend(_number(ModelStateMessage, "MODEL_STATE", state) for state in states)
    return request


def get_model_request(model: Model) -> GetModelRequest:
    return GetModelRequest(model=_selector(model))


def _selector(model: Model) -> ModelSelector:
    if isinstance(model, str):
        return ModelSelector(name=_text(model, "model.name"))
    selector = ModelSelector(name=_text(model.name, "model.name"))
    _set(selector, "version", model.version, "model.version")
    return selector


def _search_options(options: SearchOptions | None) -> SearchOptionsMessage | None:
    if options is None:
        return None
    message = SearchOptionsMessage(include_query_words=options.include_query_words)
    _set(message, "k", options.k, "options.k")
    if options.lookup is not None:
        message.lookup = _number(WordLookupMessage, "WORD_LOOKUP", options.lookup)
    return message


def _translation_options(options: TranslationOptions | None) -> TranslationOptionsMessage | None:
    if options is None:
        return None
    message = TranslationOptionsMessage(
        return_tokens=options.return_tokens, return_alignments=options.return_alignments
    )
    for name in _TRANSLATION_NUMBERS:
        _set(message, name, getattr(options, name), f"options.{name}")
    if options.early_stopping is not None:
        message.early_stopping = _number(
            decoding_pb2.EarlyStopping, "EARLY_STOPPING", options.early_stopping
        )
    if options.length_normalization is not None:
        message.length_normalization = _normalization(options.length_normalization)
    return message


def _normalization(member: LengthNormalization) -> decoding_pb2.LengthNormalization.ValueType:
    return _number(decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", member)


def _scoring_options(options: ScoringOptions | None) -> ScoringOptionsMessage | None:
    if options is None:
        return None
    message = ScoringOptionsMessage(lowercase=options.lowercase)
    message.metrics.extend(
        _number(TranslationMetricMessage, "TRANSLATION_METRIC", metric)
        for metric in options.metrics
    )
    if options.bleu_tokenizer is not None:
        message.bleu_tokenizer = _number(
            BleuTokenizerMessage, "BLEU_TOKENIZER", options.bleu_tokenizer
        )
    return message


def _check_counts(field: str, count: int, items: str, wanted: int) -> None:
    if count != wanted:
        raise InvalidRequestError.single(
            field, f"there are {count:,} for {wanted:,} {items}; give one for each"
        )


def _set(message: Message, name: str, value: float | None, path: str) -> None:
    if value is None:
        return
    try:
        setattr(message, name, value)
    except ValueError:
        raise InvalidRequestError.single(
            path, f"is {value}; give a whole number from 0 to 4,294,967,295"
        ) from None


def _text(text: str, path: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequestError.single(
            path, f"character {error.start + 1} is a lone surrogate, not text; give valid UTF-8"
        ) from None
    return text


class _Numbers(Protocol[_Number]):
    """A generated enum: the numbers of its values, by name."""

    def Value(self, name: str) -> _Number: ...  # noqa: N802 - protobuf's name


def _number(numbers: _Numbers[_Number], prefix: str, member: enum.Enum) -> _Number:
    """The API's number for a member of one of the client's enums."""
    return numbers.Value(f"{prefix}_{member.value.upper()}")
