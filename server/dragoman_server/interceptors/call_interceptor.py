"""Leads every call through all that surrounds it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import Any

import grpc
from grpc.aio import AbortError

from dragoman_server.interceptors.admission import SERVED_PREFIX, CallAdmission
from dragoman_server.interceptors.authorization import CallAuthorization
from dragoman_server.interceptors.call import Call, CallObserver
from dragoman_server.interceptors.error_mapping import set_status
from dragoman_server.interceptors.handlers import (
    Behavior,
    Context,
    Handler,
    MadeHandlers,
    behavior_of,
    reading_late,
    with_behavior,
)
from dragoman_server.interceptors.quota import QuotaCharge
from dragoman_server.interceptors.request_checking import RequestChecking


class CallInterceptor(grpc.aio.ServerInterceptor):
    """The only interceptor, for each one costs each call a coroutine for its handler and another
    around its answer. What surrounds a call are parts with plain functions, in this order: the
    call's id, its observers, the mapping of errors, authorization, admission, the quotas of its
    token, and the check of what was sent.
    """

    def __init__(
        self,
        *,
        observers: Sequence[CallObserver],
        authorization: CallAuthorization,
        admission: CallAdmission,
        quota: QuotaCharge,
        checking: RequestChecking,
    ) -> None:
        self._observers = observers
        self._authorization = authorization
        self._admission = admission
        self._quota = quota
        self._checking = checking
        self._handlers = MadeHandlers(self._surrounded)
        self._late_readers = MadeHandlers(
            lambda method, handler: self._surrounded(method, reading_late(handler))
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if not self._authorization.allows(handler_call_details):
            return self._handlers.of(method, self._authorization.refusing)
        if not handler.request_streaming and self._admission.may_refuse_unread(method):
            return self._late_readers.of(method, handler)
        return self._handlers.of(method, handler)

    def _surrounded(self, method: str, handler: Handler) -> Handler:
        """`handler`, with everything around it."""
        deserializer = handler.request_deserializer
        accepted: Callable[[Any], Any] = _as_it_is
        if method.startswith(SERVED_PREFIX) and deserializer is not None:
            deserializer = self._checking.deserializer(method, deserializer)
            accepted = self._accepted_stream if handler.request_streaming else self._accepted
        inner = behavior_of(handler)
        if inspect.isasyncgenfunction(inner):
            admits = handler is not self._authorization.refusing
            answer = self._stream(method, inner, accepted, admits=admits)
        else:
            answer = self._single(method, inner, accepted, streaming=handler.response_streaming)
        return with_behavior(handler, answer, deserializer)

    def _single(
        self, method: str, inner: Behavior, accepted: Callable[[Any], Any], *, streaming: bool
    ) -> Behavior:
        """`streaming`: whether `inner` writes its answers itself."""

        async def answer(request: Any, context: Context) -> Any:
            call = self._begun(method, context)
            try:
                async with self._admission.admitted(call):
                    return await inner(accepted(request), context)
            except AbortError:
                raise  # the status is already set
            except asyncio.CancelledError:
                call.gone = True
                raise
            except Exception as error:
                status = set_status(call, error)
                if not streaming:  # a message would be sent before a status that is only set
                    await context.abort(*status)
            finally:
                self._ended(call)

        return answer

    def _stream(
        self, method: str, inner: Behavior, accepted: Callable[[Any], Any], *, admits: bool
    ) -> Behavior:
        async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
            call = self._begun(method, context)
            try:
                async with self._admission.admitted(call) if admits else nullcontext():
                    async for response in inner(accepted(request), context):
                        yield response
            except AbortError:
                raise
            except (asyncio.CancelledError, GeneratorExit):
                call.gone = True
                raise
            except Exception as error:
                set_status(call, error)
            finally:
                self._ended(call)

        return answer

    def _begun(self, method: str, context: Context) -> Call:
        call = Call(method, context)
        for observer in self._observers:
            observer.began(call)
        return call

    def _ended(self, call: Call) -> None:
        for observer in self._observers:
            observer.ended(call)

    def _accepted(self, request: Any) -> Any:
        """The request, once it is charged and checked."""
        self._quota.charge(request)
        self._checking.check(request)
        return request

    async def _accepted_stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._accepted(request)


def _as_it_is(request: Any) -> Any:
    return request
