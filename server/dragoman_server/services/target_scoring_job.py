"""One request to score given translations being answered, in a thread of the queue."""

from collections.abc import Iterator

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status
from dragoman_server.model_protocols import TranslationModel
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.hypotheses import fill_hypothesis
from dragoman_server.services.model_selection import answered_by
from dragoman_server.services.translation_options import length_normalization
from dragoman_server.work_queue import CancelFlag

_PAIRS_AT_ONCE = 64  # between two looks at the flag of a gone caller


class TargetScoringJob:
    """Scores the pairs of a request; each bad one gets its own error."""

    def __init__(
        self, version: ModelVersion, request: pb.ScoreTargetRequest, limits: Limits
    ) -> None:
        self._version = version
        self._model: TranslationModel = version.model
        self._request = request
        self._most = limits.source_characters

    def run(self, flag: CancelFlag) -> pb.ScoreTargetResponse:
        response = pb.ScoreTargetResponse(model=answered_by(self._version))
        pairs = self._request.pairs
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            flag.check()
            self._score(pairs[start : start + _PAIRS_AT_ONCE], response, flag)
        return response

    def _score(
        self, pairs: "list[pb.TranslationPair]", response: pb.ScoreTargetResponse, flag: CancelFlag
    ) -> None:
        problems = [list(self._violations(pair)) for pair in pairs]
        good = [pair for pair, found in zip(pairs, problems, strict=True) if not found]
        request = self._request
        penalty = request.length_penalty if request.HasField("length_penalty") else 1.0
        scored = iter(
            self._model.score_targets(
                [(pair.source, pair.target) for pair in good],
                normalization=length_normalization(request.length_normalization),
                length_penalty=penalty,
                cancelled=flag.is_cancelled,
            )
        )
        for pair, found in zip(pairs, problems, strict=True):
            result = response.results.add()
            if found:
                root = f"pairs[{len(response.results) - 1}]"
                result.error.CopyFrom(item_status(InvalidInputError(found), root))
                continue
            fill_hypothesis(
                result.hypothesis,
                next(scored),
                source_tokens=self._model.source_tokens(pair.source),
                with_tokens=request.return_tokens,
                with_alignment=request.return_alignments,
            )

    def _violations(self, pair: pb.TranslationPair) -> Iterator[FieldViolation]:
        for field in ("source", "target"):
            length = len(getattr(pair, field))
            if length > self._most:
                text = f"has {length:,} characters; a text may have {self._most:,}: divide it"
                yield FieldViolation(field=field, description=text)
        if len(pair.source) <= self._most and len(self._model.source_tokens(pair.source)) <= 1:
            text = "holds no characters that can be read; give some text"
            yield FieldViolation(field="source", description=text)
