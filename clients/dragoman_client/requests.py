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
from dragoman.v1.language_model_service_pb2 import GenerateRequest, LanguageModelServiceScoreRequest
from dragoman.v1.language_model_service_pb2 import GenerationOptions as GenerationOptionsMessage
from dragoman.v1.model_pb2 import ModelSelector
from dragoman.v1.model_pb2 import ModelState as ModelStateMessage
from dragoman.v1.model_service_pb2 import GetModelRequest, ListModelsRequest
from dragoman.v1.translation_service_pb2 import TranslateRequest, TranslationSource
from dragoman.v1.translation_service_pb2 import TranslationOptions as TranslationOptionsMessage
from dragoman_client.errors import InvalidRequestError
from dragoman_client.options import (
    GenerationOptions,
    ScoringOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.results import ModelState, ModelVersion

_Number = TypeVar("_Number", covariant=True)

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
_BEAM_SEARCH = ("beam_width", "n_best", "length_penalty")

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
    sources: Sequence[str], *, model: Model, options: TranslationOptions | None
) -> TranslateRequest:
    request = TranslateRequest(model=_selector(model), options=_translation_options(options))
    for i, source in enumerate(sources):
        request.sources.append(TranslationSource(text=_text(source, f"sources[{i}].text")))
    return request


def score_texts_request(
    texts: Sequence[str],
    contexts: Sequence[str] | None,
    *,
    model: Model,
    return_tokens: bool,
    exclude_end_of_text: bool,
) -> LanguageModelServiceScoreRequest:
    if contexts is not None and len(contexts) != len(texts):
        raise InvalidRequestError.single(
            "texts", f"there are {len(contexts):,} contexts for {len(texts):,}; give one for each"
        )
    request = LanguageModelServiceScoreRequest(
        model=_selector(model), return_tokens=return_tokens, exclude_end_of_text=exclude_end_of_text
    )
    for i, text in enumerate(texts):
        item = request.texts.add(text=_text(text, f"texts[{i}].text"))
        if contexts is not None:
            item.context = _text(contexts[i], f"texts[{i}].context")
    return request


def generate_request(
    prompt: str, *, model: Model, options: GenerationOptions | None
) -> GenerateRequest:
    return GenerateRequest(
        model=_selector(model),
        prompt=_text(prompt, "prompt"),
        options=None if options is None else _generation_options(options),
    )


def score_request(
    hypotheses: Sequence[str], references: Sequence[str], *, options: ScoringOptions | None
) -> EvaluationServiceScoreRequest:
    if len(hypotheses) != len(references):
        raise InvalidRequestError.single(
            "references",
            f"there are {len(references):,} for {len(hypotheses):,} hypotheses; give one for each",
        )
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
    for name in ("beam_width", "n_best", "length_penalty", "max_length"):
        _set(message, name, getattr(options, name), f"options.{name}")
    if options.length_normalization is not None:
        message.length_normalization = _number(
            decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", options.length_normalization
        )
    return message


def _generation_options(options: GenerationOptions) -> GenerationOptionsMessage:
    message = GenerationOptionsMessage(return_tokens=options.return_tokens)
    for i, stop in enumerate(options.stop_strings):
        message.stop_strings.append(_text(stop, f"options.stop_strings[{i}]"))
    for name in (
        "sample_count", "max_tokens", "min_tokens", "repetition_penalty", "no_repeat_ngram_size",
    ):  # fmt: skip
        _set(message, name, getattr(options, name), f"options.{name}")
    _check_strategy(options)
    for name in _SAMPLING:
        value = getattr(options, name)
        if value is not None:
            most = 64 if name == "seed" else 32
            _set(message.sampling, name, value, f"options.sampling.{name}", bits=most)
    for name in _BEAM_SEARCH:
        value = getattr(options, name)
        if value is not None:
            _set(message.beam_search, name, value, f"options.beam_search.{name}")
    if options.length_normalization is not None:
        message.beam_search.length_normalization = _number(
            decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", options.length_normalization
        )
    return message


def _check_strategy(options: GenerationOptions) -> None:
    """The API holds one of both: what was set first would be lost."""
    drawn = [name for name in _SAMPLING if getattr(options, name) is not None]
    searched = [
        name
        for name in (*_BEAM_SEARCH, "length_normalization")
        if getattr(options, name) is not None
    ]
    if drawn and searched:
        raise InvalidRequestError.single(
            f"options.{drawn[0]}", f"is for sampling, {searched[0]} for beam search; give one"
        )


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


def _set(message: Message, name: str, value: float | None, path: str, *, bits: int = 32) -> None:
    if value is None:
        return
    try:
        setattr(message, name, value)
    except ValueError:
        raise InvalidRequestError.single(
            path, f"is {value}; give a whole number from 0 to {2**bits - 1:,}"
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
