"""TranslateStream: items are read ahead while others are translated, so many as fit one batch.

What has arrived when a batch ends makes the next one, so a stream keeps the model busy whether its
items come one by one or a million at once. Reading stops while a batch's worth is waiting: a stream
holds two batches at most, and a caller who reads slowly is read from slowly.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server import call_deadline
from dragoman_server.error_status import item_status, with_root
from dragoman_server.services.model_selection import answered_by
from dragoman_server.services.translation_job import TranslationJob, TranslationSettings
from dragoman_server.work_queue import WorkQueue

_BATCH_ITEMS = 64
_LONGEST_ID = 128

Requests = AsyncIterator[pb.TranslateStreamRequest]
Arrived = asyncio.Queue[pb.TranslateStreamItem | None]  # None: no more come


async def translate_stream(
    requests: Requests,
    settings_of: Callable[[pb.TranslateStreamConfig], TranslationSettings],
    queue: WorkQueue,
) -> AsyncGenerator[pb.TranslateStreamResponse, None]:
    """A result for each item as it is ready, and a summary at the end.

    Raises `InvalidInputError` where the first message is no config or a later one is no item, and
    what ``settings_of`` raises; what came before it was answered.
    """
    settings = await _opened(requests, settings_of)
    arrived: Arrived = asyncio.Queue(_BATCH_ITEMS)
    reading = asyncio.create_task(_read(requests, arrived))
    summary = pb.TranslateStreamSummary(
        model=answered_by(settings.version),
        ensemble_models=[answered_by(partner) for partner in settings.partners],
    )
    try:
        while batch := await _next_batch(arrived):
            for response in await _answered(batch, settings, queue, summary):
                yield response
            call_deadline.renew()
        await reading  # raises what was wrong with a message
        yield pb.TranslateStreamResponse(summary=summary)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, Exception):  # raised above, if it was wanted
            await reading


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


async def _read(requests: Requests, arrived: Arrived) -> None:
    """Puts items into ``arrived``, waiting while it is full, and None behind the last."""
    try:
        await _read_items(requests, arrived)
    except Exception:
        await arrived.put(None)
        raise
    await arrived.put(None)


async def _read_items(requests: Requests, arrived: Arrived) -> None:
    number = 1
    async for request in requests:
        number += 1
        if not request.HasField("item"):
            text = f"message {number:,} of the stream holds none; send items after the config"
            raise InvalidInputError.single("item", text)
        await arrived.put(request.item)


async def _next_batch(arrived: Arrived) -> list[pb.TranslateStreamItem]:
    """What has arrived, at least one item and at most a batch; empty where no more come."""
    batch: list[pb.TranslateStreamItem] = []
    while len(batch) < _BATCH_ITEMS and not (batch and arrived.empty()):
        item = await arrived.get()
        if item is None:
            arrived.put_nowait(None)  # for the next call
            break
        batch.append(item)
    return batch


async def _answered(
    batch: list[pb.TranslateStreamItem],
    settings: TranslationSettings,
    queue: WorkQueue,
    summary: pb.TranslateStreamSummary,
) -> list[pb.TranslateStreamResponse]:
    """The results of one batch, which ``summary`` counts."""
    job = TranslationJob(settings, [item.source for item in batch], root="item.source")
    # A stream was let in as a whole: its batches wait their turn.
    translated = await queue.run(job.run, admitted=summary.item_count > 0)
    responses = []
    for item, one in zip(batch, translated, strict=True):
        result = pb.TranslateStreamItemResult(id=item.id, result=one.result)
        if len(item.id) > _LONGEST_ID:
            result = _with_id_refused(item.id)
        summary.item_count += 1
        summary.error_count += result.result.HasField("error")
        if result.result.HasField("translation"):
            summary.source_token_count += result.result.translation.source_token_count
            summary.target_token_count += one.target_token_count
        responses.append(pb.TranslateStreamResponse(item_result=result))
    return responses


def _with_id_refused(item_id: str) -> pb.TranslateStreamItemResult:
    text = f"has {len(item_id):,} characters; an id may have {_LONGEST_ID}"
    error = InvalidInputError([FieldViolation(field="id", description=text)])
    result = pb.TranslationResult(error=item_status(error, "item"))
    return pb.TranslateStreamItemResult(id=item_id[:_LONGEST_ID], result=result)
