"""Lets only those callers in who may make the call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc

from dragoman_models.errors import DragomanError
from dragoman_server.interceptors.call_scope import Context, Handler
from dragoman_server.security.authorization import Authorization
from dragoman_server.security.grant import set_current_grant

_refusal: ContextVar[DragomanError | None] = ContextVar("refusal", default=None)


class AuthorizationInterceptor(grpc.aio.ServerInterceptor):
    """Decides by method and metadata, before anything of the request itself is read.

    A refused call is answered by a handler of streams, for gRPC would first receive, decompress and
    decode the request of a handler of single messages.
    """

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization
        self._refuse: Handler = grpc.stream_stream_rpc_method_handler(_refused)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        try:
            # gRPC asks for the handler in the task that then runs it: what is set here stays the
            # call's own.
            set_current_grant(
                self._authorization.grant_of(method, handler_call_details.invocation_metadata)
            )
        except DragomanError as error:
            _refusal.set(error)
            return self._refuse
        return handler


async def _refused(requests: Any, context: Context) -> AsyncIterator[Any]:
    error = _refusal.get()
    if error is not None:
        raise error
    yield  # never: only a refused call comes here; but it makes this a generator
