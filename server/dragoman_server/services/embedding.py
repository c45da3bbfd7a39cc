"""EmbeddingService: words looked up and compared."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import AsyncIterator
from contextlib import suppress

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1 import embedding_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.model_repository import ModelRepository
from dragoman_server.served_families import EMBEDDING_SERVICE
from dragoman_server.services import word_answers
from dragoman_server.services.counts import count_violations
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.services.search_requests import search_violations
from dragoman_server.services.word_answers import AT_ONCE, NotAtOnceError
from dragoman_server.services.word_search import analogy_lane, nearest_lane, search_works
from dragoman_server.services.word_streams import embed_stream, nearest_stream
from dragoman_server.work_queue import WorkQueue

# So few words are looked up faster than another thread is reached, in some hundredths of a
# millisecond. Suggestions for an unknown word take longer, and are left to a thread.
_FEW_LOOKUPS = 16
_LOOKUPS_A_TOKEN = 20  # so many lookups take about as long as a token of a translation


class EmbeddingService(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """Answers with the word vectors of the repository."""

    def __init__(self, repository: ModelRepository, queue: WorkQueue, limits: Limits) -> None:
        self._repository = repository
        self._queue = queue
        self._limits = limits

    async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
        _require(count_violations("words", len(request.words), self._limits.words))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        if len(request.words) <= _FEW_LOOKUPS:
            with suppress(NotAtOnceError):
                return word_answers.embed(version, request, AT_ONCE)
        return await self._queue.run(
            lambda flag: word_answers.embed(version, request, flag),
            cost=1 + len(request.words) // _LOOKUPS_A_TOKEN,
        )

    async def Similarity(
        self, request: pb.SimilarityRequest, context: object
    ) -> pb.SimilarityResponse:
        _require(count_violations("pairs", len(request.pairs), self._limits.pairs))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        if len(request.pairs) <= _FEW_LOOKUPS:
            with suppress(NotAtOnceError):
                return word_answers.similarity(version, request, AT_ONCE)
        return await self._queue.run(
            lambda flag: word_answers.similarity(version, request, flag),
            cost=1 + len(request.pairs) // _LOOKUPS_A_TOKEN,
        )

    async def Nearest(self, request: pb.NearestRequest, context: object) -> pb.NearestResponse:
        count = len(request.queries)
        _require(search_violations("queries", count, request.options, self._limits))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        async with self._queue.batcher.call(nearest_lane(version, request)) as call:
            results = await call.run(search_works(version, "queries", request.queries))
        return pb.NearestResponse(model=answered_by(version), results=results)

    async def Analogy(self, request: pb.AnalogyRequest, context: object) -> pb.AnalogyResponse:
        count = len(request.questions)
        _require(search_violations("questions", count, request.options, self._limits))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        async with self._queue.batcher.call(analogy_lane(version, request)) as call:
            results = await call.run(search_works(version, "questions", request.questions))
        return pb.AnalogyResponse(model=answered_by(version), results=results)

    async def EmbedStream(
        self, request_iterator: AsyncIterator[pb.EmbedStreamRequest], context: object
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        answers = embed_stream(request_iterator, self._repository, self._queue, self._limits)
        async for answer in answers:
            yield answer

    async def NearestStream(
        self, request_iterator: AsyncIterator[pb.NearestStreamRequest], context: object
    ) -> AsyncIterator[pb.NearestStreamResponse]:
        answers = nearest_stream(request_iterator, self._repository, self._queue, self._limits)
        async for answer in answers:
            yield answer


def _require(violations: list[FieldViolation]) -> None:
    if violations:
        raise InvalidInputError(violations)
