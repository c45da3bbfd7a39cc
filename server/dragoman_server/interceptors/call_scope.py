"""Puts a context manager around the handler of every call, of all four kinds."""

from __future__ import annotations

import abc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, TypeAlias

import grpc

# grpc's own types cover neither async handlers nor both kinds of context at once.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Entered: TypeAlias = "AbstractContextManager[None] | AbstractAsyncContextManager[None]"
Scope: TypeAlias = Callable[[Context], Entered]

_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class MadeHandlers:
    """The handler that an interceptor makes of each method's own, made once and not at each call.

    gRPC asks the interceptors at every call, and gets the same handler for the same method.
    """

    def __init__(self, make: Callable[[str, Handler], Handler]) -> None:
        self._make = make
        self._made: dict[str, tuple[Handler, Handler]] = {}  # by method: its own, and ours

    def of(self, method: str, handler: Handler) -> Handler:
        """What is made of `handler`, which answers `method`."""
        known = self._made.get(method)
        if known is None or known[0] is not handler:
            known = self._made[method] = (handler, self._make(method, handler))
        return known[1]


class CallScopeInterceptor(grpc.aio.ServerInterceptor, abc.ABC):
    """An interceptor that is entered before a call's handler and left after it."""

    @abc.abstractmethod
    def scope(self, method: str, context: Context) -> Entered:
        """What surrounds a call of `method`, for example "/dragoman.v1.ModelService/GetModel".

        Where nothing is awaited, a plain context manager will do, and costs a call less: the event
        loop keeps a list of all asynchronous generators.
        """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._handlers.of(handler_call_details.method, handler)

    @cached_property
    def _handlers(self) -> MadeHandlers:
        def make(method: str, handler: Handler) -> Handler:
            return in_scope(handler, lambda context: self.scope(method, context))

        return MadeHandlers(make)


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
        entered: Any = scope(context)
        if _is_plain(entered):
            with entered:
                return await inner(request, context)
        async with entered:
            return await inner(request, context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        entered: Any = scope(context)
        async with nullcontext() if _is_plain(entered) else entered:
            with entered if _is_plain(entered) else nullcontext():
                async for response in inner(request, context):
                    yield response

    surrounded = stream if inspect.isasyncgenfunction(inner) else answer
    return with_behavior(handler, surrounded, handler.request_deserializer)


def _is_plain(entered: object) -> bool:
    return hasattr(type(entered), "__enter__")
