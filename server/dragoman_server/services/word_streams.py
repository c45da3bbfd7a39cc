"""The streams of EmbeddingService: one batch is read, worked on and answered before the next.

So a stream holds one request and one answer at a time, a caller that reads slowly is worked for
slowly, and one that goes away stops the work on its batch.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server import call_deadline
from dragoman_server.config import Limits
from dragoman_server.error_status import with_root
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import EMBEDDING_SERVICE
from dragoman_server.services import word_answers
from dragoman_server.services.counts import count_violations
from dragoman_server.services.model_selection import selected
from dragoman_server.services.search_requests import search_violations
from dragoman_server.services.word_search import SEARCH_COST
from dragoman_server.work_queue import CancelFlag, WorkQueue

_BATCH = "batch"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What is particular to one of the streams."""

    items: str  # the list that every request of the stream holds; all else belongs to the first
    violations: Callable[[Any], list[FieldViolation]]
    answer: Callable[[ModelVersion, Any, CancelFlag], Any]
    cost: Callable[[Any], int]  # of a batch, in tokens


def embed_stream(
    requests: AsyncIterator[pb.EmbedStreamRequest],
    repository: ModelRepository,
    queue: WorkQueue,
    limits: Limits,
) -> AsyncIterator[pb.EmbedStreamResponse]:
    """The vectors of each batch of words, in order."""

    def answer(
        version: ModelVersion, batch: pb.EmbedRequest, flag: CancelFlag
    ) -> pb.EmbedStreamResponse:
        response = word_answers.embed(version, batch, flag, root=f"{_BATCH}.")
        return pb.EmbedStreamResponse(batch=response)

    kind = _Kind(
        items="words",
        violations=lambda batch: count_violations("words", len(batch.words), limits.words),
        answer=answer,
        cost=lambda batch: 1 + len(batch.words) // 20,
    )
    return _answered(requests, kind, repository, queue)


def nearest_stream(
    requests: AsyncIterator[pb.NearestStreamRequest],
    repository: ModelRepository,
    queue: WorkQueue,
    limits: Limits,
) -> AsyncIterator[pb.NearestStreamResponse]:
    """The neighbours of each batch of queries, in order."""

    def answer(
        version: ModelVersion, batch: pb.NearestRequest, flag: CancelFlag
    ) -> pb.NearestStreamResponse:
        response = word_answers.nearest_words(version, batch, flag, root=f"{_BATCH}.")
        return pb.NearestStreamResponse(batch=response)

    kind = _Kind(
        items="queries",
        violations=lambda batch: search_violations(
            "queries", len(batch.queries), batch.options, limits
        ),
        answer=answer,
        cost=lambda batch: 1 + SEARCH_COST * len(batch.queries),
    )
    return _answered(requests, kind, repository, queue)


async def _answered(
    requests: AsyncIterator[Any], kind: _Kind, repository: ModelRepository, queue: WorkQueue
) -> AsyncIterator[Any]:
    """One answer for each request. Raises `InvalidInputError` naming a wrong request's number."""
    stream = _Stream(kind, repository)
    number = 0
    while True:
        number += 1
        try:
            request = await anext(requests, None)
            if request is None:
                return
            # What was let in once waits its turn: a stream is not refused in its middle.
            answer = await queue.run(
                stream.work(request.batch), admitted=number > 1, cost=kind.cost(request.batch)
            )
        except InvalidInputError as error:
            raise _in_request(error, number) from error
        yield answer
        call_deadline.renew()


class _Stream:
    """One stream: the model version and the settings that its first batch chose."""

    def __init__(self, kind: _Kind, repository: ModelRepository) -> None:
        self._kind = kind
        self._repository = repository
        self._version: ModelVersion | None = None
        self._settings: Any = None  # the first batch without its items

    def work(self, batch: Any) -> Callable[[CancelFlag], Any]:
        """What answers `batch`; raises `InvalidInputError`, with paths that start at the request,
        and what the selection of the model raises."""
        try:
            version = self._version
            if version is None:
                version = self._version = self._begin(batch)
            else:
                self._go_on(batch)
            violations = self._kind.violations(batch)
            if violations:
                raise InvalidInputError(violations)
        except InvalidInputError as error:
            raise with_root(error, _BATCH) from error
        return partial(self._answer, version, batch)

    def _begin(self, batch: Any) -> ModelVersion:
        version = selected(self._repository, EMBEDDING_SERVICE, batch.model)
        self._settings = type(batch)()
        self._settings.CopyFrom(batch)
        self._settings.ClearField(self._kind.items)
        return version

    def _go_on(self, batch: Any) -> None:
        text = "counts in the first request of a stream only; leave it unset in later ones"
        misplaced = [
            FieldViolation(field=field.name, description=text)
            for field, _ in batch.ListFields()
            if field.name != self._kind.items
        ]
        if misplaced:
            raise InvalidInputError(misplaced)
        batch.MergeFrom(self._settings)

    def _answer(self, version: ModelVersion, batch: Any, flag: CancelFlag) -> Any:
        try:
            return self._kind.answer(version, batch, flag)
        except InvalidInputError as error:  # of an option that is wrong for the model
            raise with_root(error, _BATCH) from error


def _in_request(error: InvalidInputError, number: int) -> InvalidInputError:
    """The same violations, saying which request of the stream they are in."""
    return InvalidInputError(
        [
            FieldViolation(
                field=violation.field,
                description=f"{violation.description} (request {number:,} of the stream)",
            )
            for violation in error.violations
        ]
    )
