"""ScoreTarget as work for the batcher: given translations of several calls scored at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.option_key import request_key
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status
from dragoman_server.model_protocols import TranslationModel
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.batched_items import Wanted
from dragoman_server.services.hypotheses import fill_hypothesis
from dragoman_server.services.translation_options import length_normalization

if TYPE_CHECKING:
    from dragoman_models.translation.hypothesis import Hypothesis


@dataclass(frozen=True, kw_only=True)
class PairToScore:
    """A pair, and its index in its request."""

    pair: pb.TranslationPair
    index: int


def target_scoring_lane(
    version: ModelVersion, request: pb.ScoreTargetRequest, limits: Limits
) -> Lane:
    """Pairs for the same model with the same settings may share a batch."""
    return Lane(
        key=("ScoreTarget", id(version.model), str(version), request_key(request, "pairs")),
        engine=TargetScoringEngine(version.model, request, limits),
        kind=f"ScoreTarget {version}",
    )


def target_scoring_works(
    version: ModelVersion,
    request: pb.ScoreTargetRequest,
    limits: Limits,
    wanted: Wanted = lambda: True,
) -> list[Work]:
    """The pairs as items. None more once not wanted."""
    works = []
    for index, pair in enumerate(request.pairs):
        if not wanted():
            break
        tokens = 1
        if max(len(pair.source), len(pair.target)) <= limits.source_characters:
            tokens += len(version.model.source_tokens(pair.source))
            tokens += len(version.model.source_tokens(pair.target))
        payload = PairToScore(pair=pair, index=index)
        works.append(Work(payload=payload, cost=tokens, length=tokens))
    return works


class TargetScoringEngine:
    """Scores pairs of several calls; each bad one gets its own error."""

    def __init__(
        self, model: TranslationModel, request: pb.ScoreTargetRequest, limits: Limits
    ) -> None:
        """Args: request: where the settings stand."""
        self._model = model
        self._request = request
        self._limits = limits

    def run(
        self, payloads: Sequence[PairToScore], cancelled: Cancelled
    ) -> list[pb.ScoreTargetResult]:
        pairs = [payload.pair for payload in payloads]
        problems = [list(self._violations(pair)) for pair in pairs]
        good = [pair for pair, found in zip(pairs, problems, strict=True) if not found]
        request = self._request
        scored = iter(self._scored(good, lambda: all(map(cancelled, range(len(payloads))))))
        results = []
        for payload, found in zip(payloads, problems, strict=True):
            result = pb.ScoreTargetResult()
            if found:
                root = f"pairs[{payload.index}]"
                result.error.CopyFrom(item_status(InvalidInputError(found), root))
            else:
                fill_hypothesis(
                    result.hypothesis,
                    next(scored),
                    source_tokens=self._model.source_tokens(payload.pair.source),
                    with_tokens=request.return_tokens,
                    with_alignment=request.return_alignments,
                )
            results.append(result)
        return results

    def _scored(
        self, pairs: Sequence[pb.TranslationPair], cancelled: Callable[[], bool]
    ) -> "list[Hypothesis]":
        if not pairs:
            return []
        request = self._request
        return self._model.score_targets(
            [(pair.source, pair.target) for pair in pairs],
            normalization=length_normalization(request.length_normalization),
            length_penalty=request.length_penalty if request.HasField("length_penalty") else 1.0,
            cancelled=cancelled,
        )

    def _violations(self, pair: pb.TranslationPair) -> Iterator[FieldViolation]:
        most = self._limits.source_characters
        long = False
        for field in ("source", "target"):
            length = len(getattr(pair, field))
            if length > most:
                long = True
                text = f"has {length:,} characters; a text may have {most:,}: divide it"
                yield FieldViolation(field=field, description=text)
        if not long:
            yield from self._token_violations(pair)

    def _token_violations(self, pair: pb.TranslationPair) -> Iterator[FieldViolation]:
        if len(self._model.source_tokens(pair.source)) <= 1:
            text = "holds no characters that can be read; give some text"
            yield FieldViolation(field="source", description=text)
        most = self._limits.source_tokens
        for field in ("source", "target"):
            count = len(self._model.source_tokens(getattr(pair, field)))
            if count > most:
                text = f"has {count:,} tokens; a text may have {most:,}: divide it"
                yield FieldViolation(field=field, description=text)
