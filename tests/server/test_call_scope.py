"""An interceptor makes its handler of a method once, and again only for another handler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from dragoman_server.interceptors.call_scope import CallScopeInterceptor, Context


class Counting(CallScopeInterceptor):
    """Keeps the methods whose calls it has surrounded."""

    def __init__(self) -> None:
        self.entered: list[str] = []

    @asynccontextmanager
    async def scope(self, method: str, context: Context) -> AsyncIterator[None]:
        self.entered.append(method)
        yield


class Details:
    """What gRPC says of a call before it is answered."""

    invocation_metadata = ()

    def __init__(self, method: str) -> None:
        self.method = method


async def asked(interceptor: Counting, method: str, handler: Any) -> Any:
    async def continuation(_: Any) -> Any:
        return handler

    details: Any = Details(method)
    return await interceptor.intercept_service(continuation, details)


def handler_of(answer: str) -> Any:
    async def behave(request: Any, context: Any) -> str:
        return answer

    return grpc.unary_unary_rpc_method_handler(behave)


async def test_a_handler_is_made_once_for_each_method_and_each_handler() -> None:
    interceptor = Counting()
    first, second = handler_of("first"), handler_of("second")
    made = await asked(interceptor, "/s/A", first)
    assert await asked(interceptor, "/s/A", first) is made
    # The same handler for another method knows that method's name.
    other = await asked(interceptor, "/s/B", first)
    assert other is not made
    replaced = await asked(interceptor, "/s/A", second)
    assert await asked(interceptor, "/s/C", None) is None
    answers = [await one.unary_unary("request", None) for one in (made, other, replaced)]
    assert answers == ["first", "first", "second"]
    assert interceptor.entered == ["/s/A", "/s/B", "/s/A"]
