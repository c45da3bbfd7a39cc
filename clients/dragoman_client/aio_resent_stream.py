"""A bidirectional call of the asynchronous client that is sent again when it is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from dragoman_client.errors import ServerError, UnavailableError
from dragoman_client.stream_retries import StreamRetries, hides_its_status

Response = TypeVar("Response", bound=Message)


class AsyncResentStream(Generic[Response]):
    """Messages go in by `put`, and `None` after the last; answers come out by `read`.

    What was put is kept until the first answer: a caller bounds it by waiting for that.
    """

    def __init__(
        self, start: Callable[..., Any], retries: StreamRetries, *, before_answer: int
    ) -> None:
        """Args:
        start: begins a call, given an iterator of messages and a `timeout`.
        before_answer: messages that are sent before the first answer, which the server needs for
            one. A write to a call that was just refused would hide its status (grpc.aio then says
            INTERNAL), so the others wait.
        """
        self._start = start
        self._retries = retries
        self._before_answer = before_answer
        self._sent: list[Message | None] = []
        self._answered = False
        self._begin()

    def put(self, message: Message | None) -> None:
        """Send a message, or say that no more come."""
        if not self._answered:
            self._sent.append(message)
        self._outgoing.put_nowait(message)

    async def read(self) -> Response | None:
        """The next answer; None after the last."""
        while True:
            try:
                response = await self._stream.read()
            except grpc.RpcError as error:
                await self._begin_again(error)
                continue
            self._answered = True
            self._accepted.set()
            self._sent.clear()
            return None if response is grpc.aio.EOF else response

    async def next(self) -> Response:
        """The next answer; raises `ServerError` where none comes."""
        response = await self.read()
        if response is None:
            raise ServerError("the server ended the stream before all was answered")
        return response

    def cancel(self) -> None:
        """End it, whatever is still on its way."""
        self._stream.cancel()

    def _begin(self) -> None:
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue()
        for message in self._sent:
            self._outgoing.put_nowait(message)
        self._accepted = asyncio.Event()
        requests = _taken(self._outgoing, self._before_answer, self._accepted)
        self._stream = self._start(requests, timeout=self._retries.timeout())

    async def _begin_again(self, error: grpc.RpcError) -> None:
        """Raises the error where the stream is not to be sent again."""
        pause = None if self._answered else self._retries.pause_after(error)
        if pause is None and hides_its_status(error):
            text = "the server ended the stream while more was sent, and its status is lost"
            raise UnavailableError(text) from None
        if pause is None:
            raise error
        self.cancel()
        await asyncio.sleep(pause)
        self._begin()


async def _taken(
    outgoing: asyncio.Queue[Message | None], before: int, accepted: asyncio.Event
) -> AsyncIterator[Message]:
    """What is put into ``outgoing``, until None; what comes after ``before`` messages only once
    the stream is ``accepted``."""
    while (message := await outgoing.get()) is not None:
        if before > 0:
            before -= 1
        else:
            await accepted.wait()
        yield message
