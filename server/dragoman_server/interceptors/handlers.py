"""Handlers of gRPC's four kinds, taken apart and made anew."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc

# grpc's own types cover neither async handlers nor both kinds of context at once.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, Context], Any]

_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
_MOST_HANDLERS = 1_000


class MadeHandlers:
    """The handlers that are made of each method's own, made once and not at each call.

    gRPC asks the interceptors at every call. A method has few handlers: its own, and perhaps one
    that refuses.
    """

    def __init__(self, make: Callable[[str, Handler], Handler]) -> None:
        self._make = make
        # Its own handler, which keeps its id from being another's, and ours.
        self._made: dict[tuple[str, int], tuple[Handler, Handler]] = {}

    def of(self, method: str, handler: Handler) -> Handler:
        """What is made of `handler`, which answers `method`."""
        key = method, id(handler)
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= _MOST_HANDLERS:
                self._made.clear()  # whatever makes handlers anew must not fill the memory
            known = self._made[key] = (handler, self._make(method, handler))
        return known[1]


def behavior_of(handler: Handler) -> Behavior:
    """The function that answers the handler's calls."""
    kind, _ = _KINDS[handler.request_streaming, handler.response_streaming]
    behavior: Behavior = getattr(handler, kind)
    return behavior


def with_behavior(
    handler: Handler, behavior: Behavior, deserializer: Callable[[bytes], Any] | None
) -> Handler:
    """The same handler with another function, and another deserializer."""
    _, make = _KINDS[handler.request_streaming, handler.response_streaming]
    made: Handler = make(
        behavior,
        request_deserializer=deserializer,
        response_serializer=handler.response_serializer,
    )
    return made


def reading_late(handler: Handler) -> Handler:
    """The same for the callers of a handler of one request, which gRPC has not read yet when the
    answer begins."""
    inner = behavior_of(handler)
    streaming = inspect.isasyncgenfunction(inner)

    async def answer(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            if streaming:
                async for response in inner(request, context):
                    yield response
            else:
                yield await inner(request, context)
            return

    made: Handler = grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return made
