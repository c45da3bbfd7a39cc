"""Requests for translations, and for the scores of translations."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.v1 import decoding_pb2
from dragoman.v1.evaluation_service_pb2 import BleuTokenizer as BleuTokenizerMessage
from dragoman.v1.evaluation_service_pb2 import EvaluationServiceScoreRequest, ScoredSegment
from dragoman.v1.evaluation_service_pb2 import ScoringOptions as ScoringOptionsMessage
from dragoman.v1.evaluation_service_pb2 import TranslationMetric as TranslationMetricMessage
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
from dragoman_client.options import LengthNormalization, ScoringOptions, TranslationOptions
from dragoman_client.requests.decoding import normalization_number, set_sampling
from dragoman_client.requests.fields import (
    Model,
    check_counts,
    enum_number,
    model_selector,
    set_number,
    text_field,
    text_fields,
)

_TRANSLATION_NUMBERS = (
    "beam_width", "n_best", "length_penalty", "max_length", "min_length", "max_length_ratio",
    "min_length_ratio", "coverage_penalty", "no_repeat_ngram_size", "repetition_penalty",
)  # fmt: skip

PhrasesOfEach = Sequence[str] | Sequence[Sequence[str]]
"""Phrases for all sources, or a list of phrases for each."""


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
    check_counts("target_prefix", len(prefixes), "sources", len(sources))
    required = _phrases_of_each("required_phrases", required_phrases, len(sources))
    banned = _phrases_of_each("banned_phrases", banned_phrases, len(sources))
    for i, (source, prefix) in enumerate(zip(sources, prefixes, strict=True)):
        path = f"sources[{i}]"
        request.sources.append(
            TranslationSource(
                text=text_field(source, f"{path}.text"),
                target_prefix=text_field(prefix, f"{path}.target_prefix"),
                required_phrases=text_fields(required[i], f"{path}.required_phrases"),
                banned_phrases=text_fields(banned[i], f"{path}.banned_phrases"),
            )
        )
    return request


def _phrases_of_each(field: str, phrases: PhrasesOfEach, count: int) -> Sequence[Sequence[str]]:
    """The phrases of each source, where they are given for each or once for all."""
    if isinstance(phrases, str):
        return [text_fields(phrases, field)] * count  # which refuses it
    of_each = [one for one in phrases if not isinstance(one, str)]
    if not of_each:
        return [[one for one in phrases if isinstance(one, str)]] * count
    if len(of_each) != len(phrases):
        text = "holds texts beside lists; give phrases for all sources, or a list for each"
        raise InvalidRequestError.single(field, text)
    check_counts(field, len(of_each), "sources", count)
    return of_each


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
        text=text_field(text, f"texts[{number}]"),
        target_prefix=text_field(target_prefix, "target_prefix"),
        required_phrases=text_fields(required_phrases, "required_phrases"),
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
        request.length_normalization = normalization_number(length_normalization)
    set_number(request, "length_penalty", length_penalty, "length_penalty")
    for i, (source, target) in enumerate(pairs):
        path = f"pairs[{i}]"
        request.pairs.append(
            TranslationPair(
                source=text_field(source, f"{path}.source"),
                target=text_field(target, f"{path}.target"),
            )
        )
    return request


def score_request(
    hypotheses: Sequence[str], references: Sequence[str], *, options: ScoringOptions | None
) -> EvaluationServiceScoreRequest:
    check_counts("references", len(references), "hypotheses", len(hypotheses))
    request = EvaluationServiceScoreRequest(options=_scoring_options(options))
    for i, (hypothesis, reference) in enumerate(zip(hypotheses, references, strict=True)):
        path = f"segments[{i}]"
        segment = ScoredSegment(
            hypothesis=text_field(hypothesis, f"{path}.hypothesis"),
            references=[text_field(reference, f"{path}.references[0]")],
        )
        request.segments.append(segment)
    return request


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
        set_sampling(message.sampling, options.sampling)
    for i, model in enumerate(options.ensemble_models):
        path = f"options.ensemble_models[{i}]"
        message.ensemble_models.append(model_selector(model, path))
    if options.sentence_splitting is not None:
        message.sentence_splitting = enum_number(
            SentenceSplittingMessage, "SENTENCE_SPLITTING", options.sentence_splitting
        )
    if options.early_stopping is not None:
        message.early_stopping = enum_number(
            decoding_pb2.EarlyStopping, "EARLY_STOPPING", options.early_stopping
        )
    if options.length_normalization is not None:
        message.length_normalization = normalization_number(options.length_normalization)
    message.banned_phrases.extend(text_fields(options.banned_phrases, "options.banned_phrases"))
    if options.diverse_groups is not None or options.diversity_strength is not None:
        message.diverse_beams.SetInParent()
        path = "options.diverse_beams"
        set_number(message.diverse_beams, "groups", options.diverse_groups, f"{path}.groups")
        set_number(
            message.diverse_beams, "strength", options.diversity_strength, f"{path}.strength"
        )
    return message


def _scoring_options(options: ScoringOptions | None) -> ScoringOptionsMessage | None:
    if options is None:
        return None
    message = ScoringOptionsMessage(lowercase=options.lowercase)
    message.metrics.extend(
        enum_number(TranslationMetricMessage, "TRANSLATION_METRIC", metric)
        for metric in options.metrics
    )
    if options.bleu_tokenizer is not None:
        message.bleu_tokenizer = enum_number(
            BleuTokenizerMessage, "BLEU_TOKENIZER", options.bleu_tokenizer
        )
    return message
