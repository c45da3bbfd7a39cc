"""TranslateStream: each item waits for a batch like those of other calls, and is answered when it
is ready.

At most a window of items is read and not yet answered, and none is read while the server's queue is
full. So a stream of a million items takes constant memory, and a caller who reads slowly is read
from slowly.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server import call_deadline
from dragoman_server.batching.batcher import BatchedCall, Batcher
from dragoman_server.error_status import item_status, with_root
from dragoman_server.services.model_selection import answered_by
from dragoman_server.services.translation_batches import translation_lane, translation_works
from dragoman_server.services.translation_job import TranslatedSource, TranslationSettings

_WINDOW = 128  # two batches: one is worked on while the next gathers
_LONGEST_ID = 128

Requests = AsyncIterator[pb.TranslateStreamRequest]


@dataclass(frozen=True, kw_only=True)
class _Answered:
    """An item whose outcome is there."""

    item_id: str
    outcome: "asyncio.Future[TranslatedSource]"


async def translate_stream(
    requests: Requests,
    settings_of: Callable[[pb.TranslateStreamConfig], TranslationSettings],
    batcher: Batcher,
) -> AsyncGenerator[pb.TranslateStreamResponse, None]:
    """A result for each item as it is ready, and a summary at the end.

    Raises `InvalidInputError` where the first message is no config or a later one is no item, and
    what ``settings_of`` raises; what came before it was answered.
    """
    settings = await _opened(requests, settings_of)
    summary = pb.TranslateStreamSummary(
        model=answered_by(settings.version),
        ensemble_models=[answered_by(partner) for partner in settings.partners],
    )
    async with batcher.call(translation_lane(settings)) as call:
        items = _Items(requests, settings, call)
        try:
            while (answered := await items.next_answered()) is not None:
                yield _response(answered.item_id, answered.outcome.result(), summary)
                items.answered()
                call_deadline.renew()
            yield pb.TranslateStreamResponse(summary=summary)
        finally:
            await items.stop()


async def _opened(
    requests: Requests, settings_of: Callable[[pb.TranslateStreamConfig], TranslationSettings]
) -> TranslationSettings:
    first = await anext(requests, None)
    if first is None or not first.HasField("config"):
        raise InvalidInputError.single("config", "is missing; the first message must hold it")
    try:
        return settings_of(first.config)
    except InvalidInputError as error:
        raise with_root(error, "config") from error


class _Items:
    """Reads items and lets them wait for a batch."""

    def __init__(
        self, requests: Requests, settings: TranslationSettings, call: BatchedCall
    ) -> None:
        self._requests = requests
        self._settings = settings
        self._call = call
        self._window = asyncio.Semaphore(_WINDOW)
        self._unanswered = 0
        self._ready: asyncio.Queue[_Answered | None] = asyncio.Queue()  # None: look again
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(lambda _: self._ready.put_nowait(None))

    async def next_answered(self) -> _Answered | None:
        """The next item that is ready; None behind the last. Raises what was wrong with a message,
        once all before it are answered."""
        while self._unanswered or not self._reading.done():
            found = await self._ready.get()
            if found is not None:
                self._unanswered -= 1
                return found
        self._reading.result()
        return None

    def answered(self) -> None:
        """The answer of an item has been sent: another may be read."""
        self._window.release()

    async def stop(self) -> None:
        """Read no more."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError, Exception):  # raised already, if it was wanted
            await self._reading

    async def _read(self) -> None:
        number = 1
        async for request in self._requests:
            number += 1
            if not request.HasField("item"):
                text = f"message {number:,} of the stream holds none; send items after the config"
                raise InvalidInputError.single("item", text)
            await self._window.acquire()
            await self._submit(request.item, admitted=number > 2)

    async def _submit(self, item: pb.TranslateStreamItem, *, admitted: bool) -> None:
        """A stream is let in or refused by its first item; those that follow wait their turn."""
        works = translation_works(self._settings, [item.source], "item.source")
        if admitted:
            await self._call.room(works)
        (outcome,) = self._call.submit(works, admitted=admitted)
        self._unanswered += 1
        item_id = item.id

        def ready(outcome: "asyncio.Future[Any]") -> None:
            self._ready.put_nowait(_Answered(item_id=item_id, outcome=outcome))

        outcome.add_done_callback(ready)


def _response(
    item_id: str, translated: TranslatedSource, summary: pb.TranslateStreamSummary
) -> pb.TranslateStreamResponse:
    """The result of one item, which ``summary`` counts."""
    result = pb.TranslateStreamItemResult(id=item_id, result=translated.result)
    if len(item_id) > _LONGEST_ID:
        result = _with_id_refused(item_id)
    summary.item_count += 1
    summary.error_count += result.result.HasField("error")
    if result.result.HasField("translation"):
        summary.source_token_count += result.result.translation.source_token_count
        summary.target_token_count += translated.target_token_count
    return pb.TranslateStreamResponse(item_result=result)


def _with_id_refused(item_id: str) -> pb.TranslateStreamItemResult:
    text = f"has {len(item_id):,} characters; an id may have {_LONGEST_ID}"
    error = InvalidInputError([FieldViolation(field="id", description=text)])
    result = pb.TranslationResult(error=item_status(error, "item"))
    return pb.TranslateStreamItemResult(id=item_id[:_LONGEST_ID], result=result)
