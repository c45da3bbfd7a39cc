"""Requests about the probability and the continuation of texts."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.v1.language_model_service_pb2 import GenerateRequest, LanguageModelServiceScoreRequest
from dragoman.v1.language_model_service_pb2 import GenerationOptions as GenerationOptionsMessage
from dragoman_client.errors import InvalidRequestError
from dragoman_client.options import GenerationOptions
from dragoman_client.requests.decoding import SAMPLING, normalization_number, set_sampling
from dragoman_client.requests.fields import (
    Model,
    model_selector,
    set_number,
    text_field,
)

_BEAM_SEARCH = ("beam_width", "n_best", "length_penalty")


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
        item = request.texts.add(text=text_field(text, f"texts[{i}].text"))
        if contexts is not None:
            item.context = text_field(contexts[i], f"texts[{i}].context")
    return request


def generate_request(
    prompt: str, *, model: Model, options: GenerationOptions | None
) -> GenerateRequest:
    return GenerateRequest(
        model=model_selector(model),
        prompt=text_field(prompt, "prompt"),
        options=None if options is None else _generation_options(options),
    )


def _generation_options(options: GenerationOptions) -> GenerationOptionsMessage:
    message = GenerationOptionsMessage(return_tokens=options.return_tokens)
    for i, stop in enumerate(options.stop_strings):
        message.stop_strings.append(text_field(stop, f"options.stop_strings[{i}]"))
    for name in (
        "sample_count", "max_tokens", "min_tokens", "repetition_penalty", "no_repeat_ngram_size",
    ):  # fmt: skip
        set_number(message, name, getattr(options, name), f"options.{name}")
    _check_strategy(options)
    if any(getattr(options, name) is not None for name in SAMPLING):
        set_sampling(message.sampling, options)
    for name in _BEAM_SEARCH:
        value = getattr(options, name)
        if value is not None:
            set_number(message.beam_search, name, value, f"options.beam_search.{name}")
    if options.length_normalization is not None:
        message.beam_search.length_normalization = normalization_number(
            options.length_normalization
        )
    return message


def _check_strategy(options: GenerationOptions) -> None:
    """The API holds one of both: what was set first would be lost."""
    drawn = [name for name in SAMPLING if getattr(options, name) is not None]
    searched = [
        name
        for name in (*_BEAM_SEARCH, "length_normalization")
        if getattr(options, name) is not None
    ]
    if drawn and searched:
        raise InvalidRequestError.single(
            f"options.{drawn[0]}", f"is for sampling, {searched[0]} for beam search; give one"
        )
