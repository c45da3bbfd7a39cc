"""Handlers whose request messages, one or a stream of them, pass through a check first."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from dragoman_server.interceptors.call_scope import Context, Handler, behavior_of

SERVED_PREFIX = "/dragoman.v1."


def checking_messages(handler: Handler, check: Callable[[Any], Any]) -> Callable[..., Any]:
    """What `handler` does, given what `check` returns for each message, or ended by its error."""
    inner = behavior_of(handler)

    async def checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield check(request)

    checked = checked_stream if handler.request_streaming else check

    async def answer(request: Any, context: Context) -> Any:
        return await inner(checked(request), context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async for response in inner(checked(request), context):
            yield response

    return stream if inspect.isasyncgenfunction(inner) else answer
