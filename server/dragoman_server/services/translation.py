"""TranslationService: texts translated by beam search, and given translations scored."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1 import translation_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.batching.batcher import Batcher
from dragoman_server.config import Limits
from dragoman_server.model_repository import ModelRepository
from dragoman_server.served_families import TRANSLATION_SERVICE
from dragoman_server.services.batched_items import run_items
from dragoman_server.services.counts import count_violations
from dragoman_server.services.ensemble_selection import ensemble_model, ensemble_partners
from dragoman_server.services.known_options import known_options
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.services.target_scoring import target_scoring_lane, target_scoring_works
from dragoman_server.services.translation_batches import translation_lane, translation_works
from dragoman_server.services.translation_job import TranslationSettings
from dragoman_server.services.translation_options import length_penalty_violations
from dragoman_server.services.translation_stream import translate_stream

_MOST_PENALTY = 10.0


class TranslationService(translation_service_pb2_grpc.TranslationServiceServicer):
    """Answers with the translators of the repository."""

    def __init__(self, repository: ModelRepository, batcher: Batcher, limits: Limits) -> None:
        self._repository = repository
        self._batcher = batcher
        self._limits = limits

    async def Translate(
        self, request: pb.TranslateRequest, context: object
    ) -> pb.TranslateResponse:
        violations = count_violations("sources", len(request.sources), self._limits.sources)
        settings = self._settings(request, violations)
        translated = await run_items(
            self._batcher,
            translation_lane(settings),
            lambda wanted: translation_works(settings, request.sources, "sources[{}]", wanted),
            sum(len(source.text) for source in request.sources),
        )
        return pb.TranslateResponse(
            model=answered_by(settings.version),
            results=[one.result for one in translated],
            ensemble_models=[answered_by(partner) for partner in settings.partners],
        )

    async def TranslateStream(
        self, request_iterator: AsyncIterator[pb.TranslateStreamRequest], context: object
    ) -> AsyncIterator[pb.TranslateStreamResponse]:
        stream = translate_stream(request_iterator, self._settings, self._batcher)
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
        known = known_options(request.options)
        options = known.options
        if options.beam_width > self._limits.beam_width:
            text = f"is {options.beam_width}; this server takes at most {self._limits.beam_width}"
            raise InvalidInputError.single("options.beam_width", text)
        version = selected(self._repository, TRANSLATION_SERVICE, request.model)
        partners = ensemble_partners(self._repository, request.options)
        return TranslationSettings(
            version=version,
            partners=partners,
            model=ensemble_model(version, partners),
            asked=request.options,
            options=options,
            options_key=known.key,
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
        results = await run_items(
            self._batcher,
            target_scoring_lane(version, request, self._limits),
            lambda wanted: target_scoring_works(version, request, self._limits, wanted),
            sum(len(pair.source) + len(pair.target) for pair in request.pairs),
        )
        return pb.ScoreTargetResponse(model=answered_by(version), results=results)
