"""Charges each request message to the quotas of its token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from dragoman_server.interceptors.call_scope import (
    Handler,
    MadeHandlers,
    with_behavior,
)
from dragoman_server.interceptors.message_checks import SERVED_PREFIX, checking_messages
from dragoman_server.security.grant import current_grant
from dragoman_server.security.quotas import Quotas


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
        if handler is None or not handler_call_details.method.startswith(SERVED_PREFIX):
            return handler
        return self._handlers.of(handler_call_details.method, handler)

    def _charged_handler(self, method: str, handler: Handler) -> Handler:
        behavior = checking_messages(handler, self._charged)
        return with_behavior(handler, behavior, handler.request_deserializer)

    def _charged(self, request: Any) -> Any:
        grant = current_grant()
        if grant is not None:
            self._quotas.charge(grant, request)
        return request
