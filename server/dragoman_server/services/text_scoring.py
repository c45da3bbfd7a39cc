"""LanguageModelService.Score as work for the batcher: the texts of several calls at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dragoman.v1 import language_model_service_pb2 as pb
from dragoman_models.errors import InvalidInputError
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.option_key import request_key
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status
from dragoman_server.model_protocols import TextModel
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.batched_items import Wanted

if TYPE_CHECKING:
    from dragoman_models.language_model.text_scores import TextScore


@dataclass(frozen=True, kw_only=True)
class IndexedText:
    """A text, and its index in its request."""

    text: pb.TextToScore
    index: int


def text_scoring_lane(
    version: ModelVersion, request: pb.LanguageModelServiceScoreRequest, limits: Limits
) -> Lane:
    """Texts for the same model with the same settings may share a batch."""
    return Lane(
        key=("Score", id(version.model), str(version), request_key(request, "texts")),
        engine=TextScoringEngine(version.model, request, limits),
        kind=f"Score {version}",
    )


def text_scoring_works(
    version: ModelVersion,
    request: pb.LanguageModelServiceScoreRequest,
    limits: Limits,
    wanted: Wanted = lambda: True,
) -> list[Work]:
    """The texts as items. None more once not wanted."""
    model: TextModel = version.model
    works = []
    for index, text in enumerate(request.texts):
        if not wanted():
            break
        tokens = 1
        if _too_long(text, limits) is None:
            tokens = len(model.prompt_tokens(text.context + text.text))
        payload = IndexedText(text=text, index=index)
        works.append(Work(payload=payload, cost=tokens, length=tokens))
    return works


class TextScoringEngine:
    """Scores texts of several calls; each that is too long gets its own error."""

    def __init__(
        self, model: TextModel, request: pb.LanguageModelServiceScoreRequest, limits: Limits
    ) -> None:
        """Args: request: where the settings stand."""
        self._model = model
        self._exclude_end = request.exclude_end_of_text
        self._with_tokens = request.return_tokens
        self._limits = limits

    def run(
        self, payloads: Sequence[IndexedText], cancelled: Cancelled
    ) -> list[pb.TextScoreResult]:
        from dragoman_models.language_model.text_scores import TextToScore

        errors = [_too_long(payload.text, self._limits) for payload in payloads]
        items = [
            TextToScore(text=payload.text.text, context=payload.text.context)
            for payload, error in zip(payloads, errors, strict=True)
            if error is None
        ]
        scores = iter(
            self._model.score(
                items,
                exclude_end=self._exclude_end,
                cancelled=lambda: all(cancelled(index) for index in range(len(payloads))),
            )
        )
        results = []
        for payload, error in zip(payloads, errors, strict=True):
            result = pb.TextScoreResult()
            if error is not None:
                result.error.CopyFrom(item_status(error, f"texts[{payload.index}]"))
            else:
                _fill_score(result.score, next(scores), with_tokens=self._with_tokens)
            results.append(result)
        return results


def _too_long(item: pb.TextToScore, limits: Limits) -> InvalidInputError | None:
    most = limits.text_characters
    for name in ("text", "context"):
        length = len(getattr(item, name))
        if length > most:
            return InvalidInputError.single(
                name, f"has {length:,} characters; this server takes {most:,}: divide it"
            )
    return None


def _fill_score(message: pb.TextScore, score: "TextScore", *, with_tokens: bool) -> None:
    message.log_prob = score.log_prob
    message.token_count = len(score.tokens)
    message.word_count = score.words
    message.character_count = score.characters
    message.unknown_token_count = score.unknown_tokens
    for name in ("perplexity", "word_perplexity", "bits_per_character"):
        value = getattr(score, name)
        if value is not None:
            setattr(message, name, value)
    if with_tokens:
        for token in score.tokens:
            added = message.tokens.add(token=token.token, log_prob=token.log_prob)
            added.span.start, added.span.end = token.begin, token.end
