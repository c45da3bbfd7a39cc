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
from dragoman.v1.embedding_service_pb2 import AnalogyMethod as AnalogyMethodMessage
from dragoman.v1.embedding_service_pb2 import (
    AnalogyQuestion,
    AnalogyRequest,
    EmbedRequest,
    NearestQuery,
    NearestRequest,
    SimilarityRequest,
    WordPair,
)
from dragoman.v1.embedding_service_pb2 import SearchMethod as SearchMethodMessage
from dragoman.v1.embedding_service_pb2 import SearchOptions as SearchOptionsMessage
from dragoman.v1.embedding_service_pb2 import WordLookup as WordLookupMessage
from dragoman.v1.evaluation_service_pb2 import BleuTokenizer as BleuTokenizerMessage
from dragoman.v1.evaluation_service_pb2 import (
    EvaluateWordVectorsRequest,
    EvaluationServiceScoreRequest,
    ScoredSegment,
    WordVectorTestSet,
)
from dragoman.v1.evaluation_service_pb2 import ScoringOptions as ScoringOptionsMessage
from dragoman.v1.evaluation_service_pb2 import TranslationMetric as TranslationMetricMessage
from dragoman.v1.language_model_service_pb2 import GenerateRequest, LanguageModelServiceScoreRequest
from dragoman.v1.language_model_service_pb2 import GenerationOptions as GenerationOptionsMessage
from dragoman.v1.model_pb2 import ModelSelector
from dragoman.v1.model_pb2 import ModelState as ModelStateMessage
from dragoman.v1.model_service_pb2 import (
    GetModelRequest,
    ListModelsRequest,
    LoadModelRequest,
    UnloadModelRequest,
)
from dragoman.v1.translation_service_pb2 import (
    ScoreTargetRequest,
    TranslateRequest,
    TranslateStreamConfig,
    TranslateStreamItem,
    TranslateStreamRequest,
    TranslationPair,
    TranslationSource,
)
from dragoman.v1.translation_service_pb2 import SentenceSplitting as SentenceSplittingMessage
from dragoman.v1.translation_service_pb2 import TranslationOptions as TranslationOptionsMessage
from dragoman_client.errors import InvalidRequestError
from dragoman_client.options import (
    AnalogyMethod,
    GenerationOptions,
    LengthNormalization,
    SamplingOptions,
    ScoringOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.queries import Query, VectorQuery
from dragoman_client.results import ModelState, ModelVersion
from dragoman_client.word_test_sets import JudgedPairs, WordTestSet

_Number = TypeVar("_Number", covariant=True)

_TRANSLATION_NUMBERS = (
    "beam_width", "n_best", "length_penalty", "max_length", "min_length", "max_length_ratio",
    "min_length_ratio", "coverage_penalty", "no_repeat_ngram_size", "repetition_penalty",
)  # fmt: skip
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
_BEAM_SEARCH = ("beam_width", "n_best", "length_penalty")

Model = str | ModelVersion
"""A model by name, or one version of it; the empty name is the server's default."""

PhrasesOfEach = Sequence[str] | Sequence[Sequence[str]]
"""Phrases for all sources, or a list of phrases for each."""


def embed_request(
    words: Sequence[str], *, model: Model, lookup: WordLookup | None, normalize: bool
) -> EmbedRequest:
    request = embed_words(words)
    request.model.CopyFrom(model_selector(model))
    request.normalize = normalize
    if lookup is not None:
        request.lookup = _number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def embed_words(words: Sequence[str]) -> EmbedRequest:
    """A batch of a stream that has begun."""
    return EmbedRequest(words=[_text(word, f"words[{i}]") for i, word in enumerate(words)])


def similarity_request(
    pairs: Sequence[tuple[str, str]], *, model: Model, lookup: WordLookup | None
) -> SimilarityRequest:
    request = SimilarityRequest(model=model_selector(model))
    for i, (first, second) in enumerate(pairs):
        pair = WordPair(
            first=_text(first, f"pairs[{i}].first"), second=_text(second, f"pairs[{i}].second")
        )
        request.pairs.append(pair)
    if lookup is not None:
        request.lookup = _number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def nearest_request(
    queries: Sequence[Query], *, model: Model, options: SearchOptions | None
) -> NearestRequest:
    request = nearest_queries(queries)
    request.model.CopyFrom(model_selector(model))
    if options is not None:
        request.options.CopyFrom(_search_options(options))
    return request


def nearest_queries(queries: Sequence[Query]) -> NearestRequest:
    """A batch of a stream that has begun."""
    messages = [_nearest_query(query, f"queries[{i}]") for i, query in enumerate(queries)]
    return NearestRequest(queries=messages)


def _nearest_query(query: Query, path: str) -> NearestQuery:
    if isinstance(query, str):
        return NearestQuery(word=_text(query, f"{path}.word"))
    message = NearestQuery()
    if isinstance(query, VectorQuery):
        message.vector.SetInParent()  # also where it has no components, which the server refuses
        message.vector.values.extend(query.values)
        return message
    message.weighted_words.SetInParent()
    for i, (word, weight) in enumerate(query.terms):
        word = _text(word, f"{path}.weighted_words.words[{i}].word")
        message.weighted_words.words.add(word=word, weight=weight)
    return message


def analogy_request(
    questions: Sequence[tuple[str, str, str]],
    *,
    model: Model,
    options: SearchOptions | None,
    method: AnalogyMethod | None,
) -> AnalogyRequest:
    request = AnalogyRequest(model=model_selector(model))
    if options is not None:
        request.options.CopyFrom(_search_options(options))
    if method is not None:
        request.method = _number(AnalogyMethodMessage, "ANALOGY_METHOD", method)
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
    required_phrases: PhrasesOfEach = (),
    banned_phrases: PhrasesOfEach = (),
) -> TranslateRequest:
    request = TranslateRequest(model=model_selector(model), options=_translation_options(options))
    prefixes = [target_prefix] * len(sources) if isinstance(target_prefix, str) else target_prefix
    _check_counts("target_prefix", len(prefixes), "sources", len(sources))
    required = _phrases_of_each("required_phrases", required_phrases, len(sources))
    banned = _phrases_of_each("banned_phrases", banned_phrases, len(sources))
    for i, (source, prefix) in enumerate(zip(sources, prefixes, strict=True)):
        path = f"sources[{i}]"
        request.sources.append(
            TranslationSource(
                text=_text(source, f"{path}.text"),
                target_prefix=_text(prefix, f"{path}.target_prefix"),
                required_phrases=_texts(required[i], f"{path}.required_phrases"),
                banned_phrases=_texts(banned[i], f"{path}.banned_phrases"),
            )
        )
    return request


def _phrases_of_each(field: str, phrases: PhrasesOfEach, count: int) -> Sequence[Sequence[str]]:
    """The phrases of each source, where they are given for each or once for all."""
    if isinstance(phrases, str):
        return [_texts(phrases, field)] * count  # which refuses it
    of_each = [one for one in phrases if not isinstance(one, str)]
    if not of_each:
        return [[one for one in phrases if isinstance(one, str)]] * count
    if len(of_each) != len(phrases):
        text = "holds texts beside lists; give phrases for all sources, or a list for each"
        raise InvalidRequestError.single(field, text)
    _check_counts(field, len(of_each), "sources", count)
    return of_each


def _texts(texts: Sequence[str], path: str) -> list[str]:
    if isinstance(texts, str):  # else its characters would be taken one by one
        raise InvalidRequestError.single(path, "is one text; give a list of them")
    return [_text(text, f"{path}[{i}]") for i, text in enumerate(texts)]


def stream_config(*, model: Model, options: TranslationOptions | None) -> TranslateStreamRequest:
    return TranslateStreamRequest(
        config=TranslateStreamConfig(
            model=model_selector(model), options=_translation_options(options)
        )
    )


def stream_item(
    text: str, *, number: int, target_prefix: str, required_phrases: Sequence[str] = ()
) -> TranslateStreamRequest:
    source = TranslationSource(
        text=_text(text, f"texts[{number}]"),
        target_prefix=_text(target_prefix, "target_prefix"),
        required_phrases=_texts(required_phrases, "required_phrases"),
    )
    return TranslateStreamRequest(item=TranslateStreamItem(id=str(number), source=source))


def score_targets_request(
    pairs: Sequence[tuple[str, str]],
    *,
    model: Model,
    length_normalization: LengthNormalization | None,
    length_penalty: float | None,
    return_alignments: bool,
) -> ScoreTargetRequest:
    request = ScoreTargetRequest(
        model=model_selector(model), return_tokens=True, return_alignments=return_alignments
    )
    if length_normalization is not None:
        request.length_normalization = _normalization(length_normalization)
    set_number(request, "length_penalty", length_penalty, "length_penalty")
    for i, (source, target) in enumerate(pairs):
        path = f"pairs[{i}]"
        request.pairs.append(
            TranslationPair(
                source=_text(source, f"{path}.source"), target=_text(target, f"{path}.target")
            )
        )
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
        model=model_selector(model),
        return_tokens=return_tokens,
        exclude_end_of_text=exclude_end_of_text,
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
        model=model_selector(model),
        prompt=_text(prompt, "prompt"),
        options=None if options is None else _generation_options(options),
    )


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


def evaluate_word_vectors_request(
    test_sets: Sequence[WordTestSet],
    *,
    model: Model,
    lookup: WordLookup | None,
    analogy_method: AnalogyMethod | None,
    max_rank: int | None,
) -> EvaluateWordVectorsRequest:
    request = EvaluateWordVectorsRequest(model=model_selector(model))
    for i, test_set in enumerate(test_sets):
        request.test_sets.append(_test_set(test_set, f"test_sets[{i}]"))
    if lookup is not None:
        request.lookup = _number(WordLookupMessage, "WORD_LOOKUP", lookup)
    if analogy_method is not None:
        request.analogy_method = _number(AnalogyMethodMessage, "ANALOGY_METHOD", analogy_method)
    set_number(request, "max_rank", max_rank, "max_rank")
    return request


def _test_set(test_set: WordTestSet, path: str) -> WordVectorTestSet:
    message = WordVectorTestSet(name=_text(test_set.name, f"{path}.name"))
    if isinstance(test_set, JudgedPairs):
        message.judged_pairs.SetInParent()
        for i, (first, second, judgement) in enumerate(test_set.pairs):
            at = f"{path}.judged_pairs.pairs[{i}]"
            message.judged_pairs.pairs.add(
                first=_text(first, f"{at}.first"),
                second=_text(second, f"{at}.second"),
                judgement=judgement,
            )
        return message
    message.solved_analogies.SetInParent()
    for i, words in enumerate(test_set.analogies):
        at = f"{path}.solved_analogies.analogies[{i}]"
        a, b, c, d = (_text(word, f"{at}.{n}") for n, word in zip("abcd", words, strict=True))
        message.solved_analogies.analogies.add(a=a, b=b, c=c, d=d)
    return message


def list_models_request(
    *, family: str, states: Sequence[ModelState], page_size: int, page_token: str
) -> ListModelsRequest:
    request = ListModelsRequest(family=_text(family, "family"), page_token=page_token)
    set_number(request, "page_size", page_size, "page_size")
    request.states.extend(_number(ModelStateMessage, "MODEL_STATE", state) for state in states)
    return request


def get_model_request(model: Model) -> GetModelRequest:
    return GetModelRequest(model=model_selector(model))


def load_model_request(model: Model, *, pin: bool) -> LoadModelRequest:
    return LoadModelRequest(model=model_selector(model), pin=pin)


def unload_model_request(model: Model) -> UnloadModelRequest:
    return UnloadModelRequest(model=model_selector(model))


def model_selector(model: Model, path: str = "model") -> ModelSelector:
    """Which model is asked for; raises InvalidRequestError for what no message can hold."""
    if isinstance(model, str):
        return ModelSelector(name=_text(model, f"{path}.name"))
    selector = ModelSelector(name=_text(model.name, f"{path}.name"))
    set_number(selector, "version", model.version, f"{path}.version")
    return selector


def _search_options(options: SearchOptions) -> SearchOptionsMessage:
    message = SearchOptionsMessage(include_query_words=options.include_query_words)
    for name in ("k", "max_rank", "min_score"):
        set_number(message, name, getattr(options, name), f"options.{name}")
    for i, word in enumerate(options.excluded_words):
        message.excluded_words.append(_text(word, f"options.excluded_words[{i}]"))
    if options.lookup is not None:
        message.lookup = _number(WordLookupMessage, "WORD_LOOKUP", options.lookup)
    if options.method is not None:
        message.method = _number(SearchMethodMessage, "SEARCH_METHOD", options.method)
    return message


def _translation_options(options: TranslationOptions | None) -> TranslationOptionsMessage | None:
    if options is None:
        return None
    message = TranslationOptionsMessage(
        return_tokens=options.return_tokens, return_alignments=options.return_alignments
    )
    for name in _TRANSLATION_NUMBERS:
        set_number(message, name, getattr(options, name), f"options.{name}")
    if options.sampling is not None:
        message.sampling.SetInParent()
        _set_sampling(message.sampling, options.sampling)
    for i, model in enumerate(options.ensemble_models):
        path = f"options.ensemble_models[{i}]"
        message.ensemble_models.append(model_selector(model, path))
    if options.sentence_splitting is not None:
        message.sentence_splitting = _number(
            SentenceSplittingMessage, "SENTENCE_SPLITTING", options.sentence_splitting
        )
    if options.early_stopping is not None:
        message.early_stopping = _number(
            decoding_pb2.EarlyStopping, "EARLY_STOPPING", options.early_stopping
        )
    if options.length_normalization is not None:
        message.length_normalization = _normalization(options.length_normalization)
    message.banned_phrases.extend(_texts(options.banned_phrases, "options.banned_phrases"))
    if options.diverse_groups is not None or options.diversity_strength is not None:
        message.diverse_beams.SetInParent()
        path = "options.diverse_beams"
        set_number(message.diverse_beams, "groups", options.diverse_groups, f"{path}.groups")
        set_number(
            message.diverse_beams, "strength", options.diversity_strength, f"{path}.strength"
        )
    return message


def _normalization(member: LengthNormalization) -> decoding_pb2.LengthNormalization.ValueType:
    return _number(decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", member)


def _generation_options(options: GenerationOptions) -> GenerationOptionsMessage:
    message = GenerationOptionsMessage(return_tokens=options.return_tokens)
    for i, stop in enumerate(options.stop_strings):
        message.stop_strings.append(_text(stop, f"options.stop_strings[{i}]"))
    for name in (
        "sample_count", "max_tokens", "min_tokens", "repetition_penalty", "no_repeat_ngram_size",
    ):  # fmt: skip
        set_number(message, name, getattr(options, name), f"options.{name}")
    _check_strategy(options)
    if any(getattr(options, name) is not None for name in _SAMPLING):
        _set_sampling(message.sampling, options)
    for name in _BEAM_SEARCH:
        value = getattr(options, name)
        if value is not None:
            set_number(message.beam_search, name, value, f"options.beam_search.{name}")
    if options.length_normalization is not None:
        message.beam_search.length_normalization = _number(
            decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", options.length_normalization
        )
    return message


def _set_sampling(
    message: decoding_pb2.SamplingOptions, options: SamplingOptions | GenerationOptions
) -> None:
    for name in _SAMPLING:
        bits = 64 if name == "seed" else 32
        set_number(message, name, getattr(options, name), f"options.sampling.{name}", bits=bits)


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


def _check_counts(field: str, count: int, items: str, wanted: int) -> None:
    if count != wanted:
        raise InvalidRequestError.single(
            field, f"there are {count:,} for {wanted:,} {items}; give one for each"
        )


def set_number(
    message: Message, name: str, value: float | None, path: str, *, bits: int = 32
) -> None:
    """Sets a field unless the value is None; raises InvalidRequestError where it cannot hold it."""
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
