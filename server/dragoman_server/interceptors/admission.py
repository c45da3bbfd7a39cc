"""Counts the calls in flight, refuses new ones while the server drains, and bounds their time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from dragoman_models.errors import OverloadedError
from dragoman_server.call_deadline import bounded
from dragoman_server.caller import Caller, current_caller, name_by_token, set_caller
from dragoman_server.errors import DeadlinePassedError
from dragoman_server.interceptors.call_scope import CallScopeInterceptor, Context, seconds_left

_SERVED_PREFIX = "/dragoman.v1."
_RETRY_SECONDS = 1.0


class AdmissionInterceptor(CallScopeInterceptor):
    """Lets calls of Dragoman's services in until the server drains.

    Health, reflection and channelz are always let in and never waited for: their streams may last
    as long as the server.
    """

    def __init__(
        self, max_deadline_seconds: float, check_load: Callable[[Caller], None] = lambda _: None
    ) -> None:
        """`check_load` raises where a call of that caller would be refused, whatever it holds."""
        self._check_load = check_load
        self._max_deadline_seconds = max_deadline_seconds
        self._draining = False
        self._ending = False
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._watching: set[asyncio.Task[Any]] = set()  # calls of gRPC's own services
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """Calls of Dragoman's services that are not yet answered."""
        return len(self._in_flight)

    def refuse_new_calls(self) -> None:
        """From now on every new call is UNAVAILABLE, with the advice to try elsewhere."""
        self._draining = True

    async def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no call is in flight; False if some still are after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def end_calls(self) -> None:
        """End the calls that are still open as UNAVAILABLE: another server may answer them."""
        self._ending = True
        for task in (*self._in_flight, *self._watching):
            task.cancel()

    @asynccontextmanager
    async def scope(self, method: str, context: Context) -> AsyncIterator[None]:
        if not method.startswith(_SERVED_PREFIX):
            with self._ended_politely(self._watching):
                yield
            return
        if self._draining:
            raise OverloadedError("the server is stopping", _RETRY_SECONDS)
        remaining = seconds_left(context)
        if remaining is not None and remaining <= 0:
            raise DeadlinePassedError("the deadline passed before the call began")
        set_caller(context.peer(), method, remaining)
        name_by_token()
        self._check_load(current_caller())
        self._idle.clear()
        try:
            with self._ended_politely(self._in_flight):
                async with bounded(self._max_deadline_seconds):
                    yield
        finally:
            if not self._in_flight:
                self._idle.set()

    @contextmanager
    def _ended_politely(self, tasks: set[asyncio.Task[Any]]) -> Iterator[None]:
        """Keeps this call's task among `tasks`, and says so when `end_calls` ends it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler always runs in a task
        tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._ending:
                raise
            task.uncancel()
            raise OverloadedError("the server is stopping", _RETRY_SECONDS) from None
        finally:
            tasks.discard(task)
