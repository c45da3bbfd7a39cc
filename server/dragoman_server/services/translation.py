"""TranslationService: texts translated by beam search, and given translations scored."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1 import translation_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.model_repository import ModelRepository
from dragoman_server.served_families import TRANSLATION_SERVICE
from dragoman_server.services.counts import count_violations
from dragoman_server.services.ensemble_selection import ensemble_model, ensemble_partners
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.services.target_scoring_job import TargetScoringJob
from dragoman_server.services.translation_job import TranslationJob, TranslationSettings
from dragoman_server.services.translation_options import (
    length_penalty_violations,
    translation_options,
)
from dragoman_server.services.translation_stream import translate_stream
from dragoman_server.work_queue import WorkQueue

_MOST_PENALTY = 10.0


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
        settings = self._settings(request, violations)
        job = TranslationJob(settings, request.sources, root="sources[{}]")
        translated = await self._queue.run(job.run)
        return pb.TranslateResponse(
            model=answered_by(settings.version),
            results=[one.result for one in translated],
            ensemble_models=[answered_by(partner) for partner in settings.partners],
        )

    async def TranslateStream(
        self, request_iterator: AsyncIterator[pb.TranslateStreamRequest], context: object
    ) -> AsyncIterator[pb.TranslateStreamResponse]:
        stream = translate_stream(request_iterator, self._settings, self._queue)
        async with aclosing(stream):
            async for response in stream:
                yield response

    def _settings(
        self,
        request: pb.TranslateRequest | pb.TranslateStreamConfig,
        violations: Sequence[FieldViolation] = (),
    ) -> TranslationSettings:
        """Raises `InvalidInputError` for ``violations`` and wrong options, and what the selection
        of the model raises."""
        found = [*violations, *length_penalty_violations(request.options, "options.")]
        if found:
            raise InvalidInputError(found)
        version = selected(self._repository, TRANSLATION_SERVICE, request.model)
        partners = ensemble_partners(self._repository, request.options)
        return TranslationSettings(
            version=version,
            partners=partners,
            model=ensemble_model(version, partners),
            asked=request.options,
            options=translation_options(request.options),
            limits=self._limits,
        )

    async def ScoreTarget(
        self, request: pb.ScoreTargetRequest, context: object
    ) -> pb.ScoreTargetResponse:
        violations = count_violations("pairs", len(request.pairs), self._limits.sources)
        violations += length_penalty_violations(request)
        if not 0.0 <= request.length_penalty <= _MOST_PENALTY:  # NaN fails too; unset is 0
            text = f"is {request.length_penalty}; give 0.0 to {_MOST_PENALTY}"
            violations.append(FieldViolation(field="length_penalty", description=text))
        if violations:
            raise InvalidInputError(violations)
        version = selected(self._repository, TRANSLATION_SERVICE, request.model)
        return await self._queue.run(TargetScoringJob(version, request, self._limits).run)
