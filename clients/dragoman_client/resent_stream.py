"""A bidirectional call of the synchronous client that is sent again when it is refused at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from dragoman_client.errors import ServerError
from dragoman_client.stream_retries import StreamRetries

Response = TypeVar("Response", bound=Message)


class ResentStream(Generic[Response]):
    """Messages go in by `put`, and `None` after the last; answers come out by iterating.

    What was put is kept until the first answer: a caller bounds it by waiting for that.
    """

    def __init__(self, start: Callable[..., Any], retries: StreamRetries) -> None:
        """`start` begins a call, given an iterator of messages and a `timeout`."""
        self._start = start
        self._retries = retries
        self._sent: list[Message | None] = []
        self._answered = False
        self._begin()

    def put(self, message: Message | None) -> None:
        """Send a message, or say that no more come."""
        if not self._answered:
            self._sent.append(message)
        self._outgoing.put(message)

    def __iter__(self) -> Iterator[Response]:
        return self

    def __next__(self) -> Response:
        while True:
            try:
                response: Response = next(self._stream)
            except grpc.RpcError as error:
                self._begin_again(error)
                continue
            self._answered = True
            self._sent.clear()
            return response

    def next(self) -> Response:
        """The next answer; raises `ServerError` where none comes."""
        for response in self:
            return response
        raise ServerError("the server ended the stream before all was answered")

    def cancel(self) -> None:
        """End it, whatever is still on its way."""
        self._stream.cancel()
        self._outgoing.put(None)  # or gRPC's thread would wait for ever

    def _begin(self) -> None:
        self._outgoing: SimpleQueue[Message | None] = SimpleQueue()
        for message in self._sent:
            self._outgoing.put(message)
        requests = iter(self._outgoing.get, None)
        self._stream = self._start(requests, timeout=self._retries.timeout())

    def _begin_again(self, error: grpc.RpcError) -> None:
        """Raises the error where the stream is not to be sent again."""
        pause = None if self._answered else self._retries.pause_after(error)
        if pause is None:
            raise error
        self.cancel()
        time.sleep(pause)
        self._begin()
