"""TranslationService: texts translated by beam search."""

# ruff: noqa: N802 - the names of the calls are those of the API.

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dragoman.v1 import decoding_pb2, translation_service_pb2_grpc
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status, with_root
from dragoman_server.errors import NotServedError
from dragoman_server.model_protocols import TranslationModel
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import TRANSLATION_SERVICE
from dragoman_server.services.counts import count_violations
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.work_queue import CancelFlag, WorkQueue

if TYPE_CHECKING:
    from dragoman_models.translation.translator import Hypothesis, TranslationOptions

_SOURCE_FIELD = re.compile(r"sources\[([0-9]+)\]")
_FLOAT_BYTES = 4


class TranslationService(translation_service_pb2_grpc.TranslationServiceServicer):
    """Answers with the translators of the repository."""

    def __init__(self, repository: ModelRepository, queue: WorkQueue, limits: Limits) -> None:
        self._repository = repository
        self._queue = queue
        self._limits = limits

    async def Translate(
        self, request: pb.TranslateRequest, context: object
    ) -> pb.TranslateResponse:
        violations = count_violations("sources", len(request.sources), self._limits.sources)
        violations += _length_penalty_violations(request.options)
        if violations:
            raise InvalidInputError(violations)
        version = selected(self._repository, TRANSLATION_SERVICE, request.model)
        options = _options(request.options)
        work = _Translation(version, request, options, self._limits)
        return await self._queue.run(work.run)

    async def TranslateStream(self, request_iterator: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{TRANSLATION_SERVICE}/TranslateStream")

    async def ScoreTarget(self, request: pb.ScoreTargetRequest, context: object) -> Any:
        raise NotServedError(f"{TRANSLATION_SERVICE}/ScoreTarget")


class _Translation:
    """One request being answered, in a thread of the queue."""

    def __init__(
        self,
        version: ModelVersion,
        request: pb.TranslateRequest,
        options: "TranslationOptions",
        limits: Limits,
    ) -> None:
        self._version = version
        self._model: TranslationModel = version.model
        self._request = request
        self._options = options
        self._limits = limits
        self._errors: dict[int, InvalidInputError] = {}  # by index of the source
        self._tokens: dict[int, tuple[str, ...]] = {}  # of the sources that are translated

    def run(self, flag: CancelFlag) -> pb.TranslateResponse:
        for index, source in enumerate(self._request.sources):
            flag.check()
            self._check(index, source.text)
        answers = self._translate(flag)
        flag.check()
        response = pb.TranslateResponse(model=answered_by(self._version))
        for index in range(len(self._request.sources)):
            result = response.results.add()
            if index in self._errors:
                error = item_status(self._errors[index], f"sources[{index}]")
                result.error.CopyFrom(error)
            else:
                self._fill(result.translation, self._tokens[index], answers[index])
        return response

    def _check(self, index: int, text: str) -> None:
        most = self._limits.source_characters
        if not text.strip():
            self._refuse(index, "is empty or blank; give some text")
        elif len(text) > most:
            self._refuse(
                index, f"has {len(text):,} characters; a text may have {most:,}: divide it"
            )
        else:
            tokens = self._model.source_tokens(text)
            if len(tokens) <= 1:
                self._refuse(index, "holds no characters that can be read; give some text")
            elif self._alignment_bytes(len(tokens)) > self._limits.alignment_bytes:
                self._refuse(index, self._too_long_to_align(len(tokens)))
            else:
                self._tokens[index] = tokens

    def _translate(self, flag: CancelFlag) -> "dict[int, tuple[Hypothesis, ...]]":
        """The hypotheses for each good source; those that the model itself refuses are left out."""
        while self._tokens:
            indices = list(self._tokens)
            texts = [self._request.sources[index].text for index in indices]
            try:
                found = self._model.translate(
                    texts, self._options, cancelled=lambda _: flag.is_cancelled()
                )
            except InvalidInputError as error:
                self._refuse_named(error, indices)
            else:
                return dict(zip(indices, found, strict=True))
        return {}

    def _refuse_named(self, error: InvalidInputError, indices: Sequence[int]) -> None:
        """Refuse the sources that the model's error names; raise what concerns the whole call."""
        for violation in error.violations:
            named = _SOURCE_FIELD.fullmatch(violation.field)
            if named is None:
                raise with_root(error, "options") from error
            index = indices[int(named[1])]
            self._refuse(index, violation.description)
            self._tokens.pop(index, None)

    def _refuse(self, index: int, description: str) -> None:
        self._errors[index] = InvalidInputError.single("text", description)

    def _alignment_bytes(self, source_length: int) -> int:
        """The most that the search keeps for the alignments of one text."""
        if not self._options.return_alignments:
            return 0
        target_length = self._options.max_length or 2 * source_length + 20
        return source_length * (target_length + 1) * self._options.beam_width * _FLOAT_BYTES

    def _too_long_to_align(self, source_length: int) -> str:
        return (
            f"has {source_length:,} tokens, whose alignments may take "
            f"{self._alignment_bytes(source_length):,} bytes; this server keeps at most "
            f"{self._limits.alignment_bytes:,}: divide the text, lower beam_width or max_length, "
            "or leave return_alignments unset"
        )

    def _fill(
        self,
        message: pb.Translation,
        source_tokens: tuple[str, ...],
        hypotheses: "Sequence[Hypothesis]",
    ) -> None:
        message.source_token_count = len(source_tokens)
        for found in hypotheses:
            hypothesis = message.hypotheses.add(
                text=found.text,
                score=found.score,
                log_prob=found.log_prob,
                finish_reason=(
                    decoding_pb2.FINISH_REASON_MAX_LENGTH
                    if found.truncated
                    else decoding_pb2.FINISH_REASON_END_OF_SEQUENCE
                ),
            )
            if self._request.options.return_tokens:
                hypothesis.tokens.extend(found.tokens)
                hypothesis.token_log_probs.extend(found.token_log_probs)
            if found.attention is not None:
                hypothesis.alignment.source_tokens.extend(source_tokens)
                hypothesis.alignment.target_tokens.extend(found.tokens)
                hypothesis.alignment.weights.extend(found.attention.ravel().tolist())


def _length_penalty_violations(options: pb.TranslationOptions) -> list[FieldViolation]:
    unpenalized = (
        decoding_pb2.LENGTH_NORMALIZATION_NONE,
        decoding_pb2.LENGTH_NORMALIZATION_AVERAGE,
    )
    if options.HasField("length_penalty") and options.length_normalization in unpenalized:
        text = "belongs to length_normalization WU_2016 alone; leave it unset"
        return [FieldViolation(field="options.length_penalty", description=text)]
    return []


def _options(options: pb.TranslationOptions) -> "TranslationOptions":
    """Raises `InvalidInputError` with one violation for each option out of range."""
    # Imports torch, which a server that only embeds words never needs.
    from dragoman_models.search.length_normalization import LengthNormalization
    from dragoman_models.translation.translator import TranslationOptions

    normalizations = {
        decoding_pb2.LENGTH_NORMALIZATION_UNSPECIFIED: LengthNormalization.WU,
        decoding_pb2.LENGTH_NORMALIZATION_NONE: LengthNormalization.NONE,
        decoding_pb2.LENGTH_NORMALIZATION_AVERAGE: LengthNormalization.AVERAGE,
        decoding_pb2.LENGTH_NORMALIZATION_WU_2016: LengthNormalization.WU,
    }
    given = {
        name: getattr(options, name)
        for name in ("beam_width", "n_best", "length_penalty", "max_length")
        if options.HasField(name)
    }
    made = TranslationOptions(
        **given,
        length_normalization=normalizations[options.length_normalization],
        return_alignments=options.return_alignments,
    )
    violations = made.violations()
    if violations:
        raise with_root(InvalidInputError(violations), "options")
    return made
