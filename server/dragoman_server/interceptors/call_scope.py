"""Puts a context manager around the handler of every call, of all four kinds."""

from __future__ import annotations

import abc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import grpc

# grpc's own types cover neither async handlers nor both kinds of context at once.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Scope: TypeAlias = Callable[[Context], AbstractAsyncContextManager[None]]

_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class CallScopeInterceptor(grpc.aio.ServerInterceptor, abc.ABC):
    """An interceptor that is entered before a call's handler and left after it."""

    @abc.abstractmethod
    def scope(self, method: str, context: Context) -> AbstractAsyncContextManager[None]:
        """What surrounds a call of `method`, for example "/dragoman.v1.ModelService/GetModel"."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return in_scope(handler, lambda context: self.scope(method, context))


def seconds_left(context: Context) -> float | None:
    """Seconds until the call's deadline; None where the caller set none."""
    seconds: float | None = context.time_remaining()  # grpc's types forget the None
    return seconds


def behavior_of(handler: Handler) -> Callable[..., Any]:
    """The function that answers the handler's calls."""
    kind, _ = _KINDS[handler.request_streaming, handler.response_streaming]
    behavior: Callable[..., Any] = getattr(handler, kind)
    return behavior


def with_behavior(
    handler: Handler, behavior: Callable[..., Any], deserializer: Callable[[bytes], Any] | None
) -> Handler:
    """The same handler with another function, and another deserializer."""
    _, make = _KINDS[handler.request_streaming, handler.response_streaming]
    made: Handler = make(
        behavior,
        request_deserializer=deserializer,
        response_serializer=handler.response_serializer,
    )
    return made


def in_scope(handler: Handler, scope: Scope) -> Handler:
    """`handler` with `scope` around each call."""
    inner = behavior_of(handler)

    async def answer(request: Any, context: Context) -> Any:
        async with scope(context):
            return await inner(request, context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async with scope(context):
            async for response in inner(request, context):
                yield response

    surrounded = stream if inspect.isasyncgenfunction(inner) else answer
    return with_behavior(handler, surrounded, handler.request_deserializer)
