"""Refuses requests that no service should see: too long, undecodable, or not yet served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from dragoman_server.interceptors.call_scope import (
    Handler,
    MadeHandlers,
    with_behavior,
)
from dragoman_server.interceptors.message_checks import SERVED_PREFIX, checking_messages
from dragoman_server.request_checks import (
    RejectedRequest,
    check_request,
    checked_deserializer,
)


class RequestCheckingInterceptor(grpc.aio.ServerInterceptor):
    """Applies `request_checks` to each request message of Dragoman's services."""

    def __init__(self, most_bytes: int, *, of_services: Mapping[str, int] | None = None) -> None:
        """`most_bytes` of a message; `of_services` has other limits by a service's full name."""
        self._most_bytes = most_bytes
        self._of_services = of_services or {}
        self._handlers = MadeHandlers(self._checked_handler)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(SERVED_PREFIX):
            return handler
        return self._handlers.of(handler_call_details.method, handler)

    def _checked_handler(self, method: str, handler: Handler) -> Handler:
        deserialize = handler.request_deserializer
        if deserialize is None:
            return handler
        service = method.removeprefix("/").rpartition("/")[0]
        most_bytes = self._of_services.get(service, self._most_bytes)
        return with_behavior(
            handler,
            checking_messages(handler, _checked),
            checked_deserializer(deserialize, _request_type(method), most_bytes),
        )


def _checked(request: Any) -> Any:
    if isinstance(request, RejectedRequest):
        raise request.error
    check_request(request)
    return request


def _request_type(method: str) -> Descriptor:
    service, _, name = method.removeprefix("/").rpartition("/")
    pool = descriptor_pool.Default()
    found: Descriptor = pool.FindServiceByName(service).methods_by_name[name].input_type
    return found
