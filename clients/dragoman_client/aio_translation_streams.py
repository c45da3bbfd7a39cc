"""The TranslateStream of the asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

import grpc

from dragoman.v1.translation_service_pb2 import TranslateStreamRequest, TranslateStreamResponse
from dragoman_client.aio_resent_stream import AsyncResentStream
from dragoman_client.aio_streams import each
from dragoman_client.errors import DragomanClientError
from dragoman_client.responses import ItemResult
from dragoman_client.results import Translation
from dragoman_client.stream_retries import StreamRetries
from dragoman_client.translation_streams import METHOD, OnSummary, OrderedStream


async def translations(
    channel: grpc.aio.Channel,
    ordered: OrderedStream,
    texts: Iterable[str] | AsyncIterable[str],
    *,
    retries: StreamRetries,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
    on_summary: OnSummary,
) -> AsyncGenerator[ItemResult[Translation], None]:
    """What became of each text, in order."""
    start: Any = channel.stream_stream(
        METHOD,
        request_serializer=TranslateStreamRequest.SerializeToString,
        response_deserializer=TranslateStreamResponse.FromString,
    )
    stream: AsyncResentStream[TranslateStreamResponse] = AsyncResentStream(
        start,
        retries,
        before_answer=2,  # the configuration and a text
    )
    stream.put(ordered.config)
    try:
        async for text in each(texts):
            stream.put(ordered.item(text))
            while ordered.is_full:
                ordered.take(await stream.next())
                for result in ordered.ready():
                    yield result
        stream.put(None)
        while (response := await stream.read()) is not None:
            ordered.take(response)
            for result in ordered.ready():
                yield result
        on_summary(ordered.checked_summary())
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()
