"""Charges each request message to the quotas of its token."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from dragoman_server.interceptors.call_scope import (
    Context,
    Handler,
    MadeHandlers,
    behavior_of,
    with_behavior,
)
from dragoman_server.security.grant import current_grant
from dragoman_server.security.quotas import Quotas

_SERVED_PREFIX = "/dragoman.v1."


class QuotaInterceptor(grpc.aio.ServerInterceptor):
    """Refuses a message of Dragoman's services for which its token has too little left."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._handlers = MadeHandlers(self._charged_handler)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_SERVED_PREFIX):
            return handler
        return self._handlers.of(handler_call_details.method, handler)

    def _charged_handler(self, method: str, handler: Handler) -> Handler:
        inner = behavior_of(handler)
        charged = self._charged_stream if handler.request_streaming else self._charged

        async def answer(request: Any, context: Context) -> Any:
            return await inner(charged(request), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            async for response in inner(charged(request), context):
                yield response

        behavior = stream if inspect.isasyncgenfunction(inner) else answer
        return with_behavior(handler, behavior, handler.request_deserializer)

    def _charged(self, request: Any) -> Any:
        grant = current_grant()
        if grant is not None:
            self._quotas.charge(grant, request)
        return request

    async def _charged_stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._charged(request)
