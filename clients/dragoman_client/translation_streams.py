"""The messages of a TranslateStream, for both clients, and the stream of the synchronous one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grpc

from dragoman.v1.translation_service_pb2 import TranslateStreamRequest, TranslateStreamResponse
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.options import TranslationOptions
from dragoman_client.requests.fields import Model
from dragoman_client.requests.translation import stream_config, stream_item
from dragoman_client.resent_stream import ResentStream
from dragoman_client.responses import ItemResult, stream_summary, translation_result
from dragoman_client.results import ModelVersion, StreamSummary, Translation
from dragoman_client.stream_retries import StreamRetries

METHOD = "/dragoman.v1.TranslationService/TranslateStream"
MOST_ON_THE_WAY = 256
"""Texts that are sent ahead of the answer that is waited for: two of the server's batches, and
room for more while it works on them."""

OnSummary = Callable[[StreamSummary], None]


class OrderedStream:
    """What is sent and what came back; the server answers in any order, and this restores it."""

    def __init__(
        self,
        *,
        model: Model,
        options: TranslationOptions | None,
        target_prefix: str,
        required_phrases: Sequence[str] = (),
    ) -> None:
        self.config = stream_config(model=model, options=options)
        self.summary: StreamSummary | None = None
        self._prefix = target_prefix
        self._required = tuple(required_phrases)
        self._model = ModelVersion(name=model) if isinstance(model, str) else model
        self._sent = self._given = 0
        self._results: dict[int, ItemResult[Translation]] = {}

    def item(self, text: str) -> TranslateStreamRequest:
        """The message of the next text; its id is its place."""
        message = stream_item(
            text, number=self._sent, target_prefix=self._prefix, required_phrases=self._required
        )
        self._sent += 1
        return message

    @property
    def is_full(self) -> bool:
        """Whether as many texts are on the way as may be."""
        return self._sent - self._given >= MOST_ON_THE_WAY

    @property
    def is_answered(self) -> bool:
        """Whether nothing is on the way."""
        return self._sent == self._given

    def take(self, response: TranslateStreamResponse) -> None:
        """Keeps a result until its turn, or the summary."""
        if response.HasField("summary"):
            self.summary = stream_summary(response.summary)
            return
        found = response.item_result
        if not found.id.isdecimal() or not self._given <= int(found.id) < self._sent:
            raise ServerError(f"the server answered an item that was not sent: {found.id!r}")
        self._results[int(found.id)] = translation_result(found.result, self._model)

    def ready(self) -> Iterator[ItemResult[Translation]]:
        """The results whose turn has come."""
        while self._given in self._results:
            self._given += 1
            yield self._results.pop(self._given - 1)

    def checked_summary(self) -> StreamSummary:
        """Raises `ServerError` where the stream ended without one, or before all was answered."""
        if self.summary is None or not self.is_answered:
            raise ServerError("the server ended the stream before all was answered")
        return self.summary


def translations(
    channel: grpc.Channel,
    ordered: OrderedStream,
    texts: Iterable[str],
    *,
    retries: StreamRetries,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
    on_summary: OnSummary,
) -> Iterator[ItemResult[Translation]]:
    """What became of each text, in order. ``texts`` is read in the caller's own thread."""
    start: Any = channel.stream_stream(
        METHOD,
        request_serializer=TranslateStreamRequest.SerializeToString,
        response_deserializer=TranslateStreamResponse.FromString,
    )
    stream: ResentStream[TranslateStreamResponse] = ResentStream(start, retries)
    stream.put(ordered.config)
    try:
        for text in texts:
            stream.put(ordered.item(text))
            while ordered.is_full:
                ordered.take(stream.next())
                yield from ordered.ready()
        stream.put(None)
        for response in stream:
            ordered.take(response)
            yield from ordered.ready()
        on_summary(ordered.checked_summary())
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()
