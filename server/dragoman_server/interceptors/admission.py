"""Counts the calls in flight, refuses new ones while the server drains, and bounds their time."""

import asyncio
from types import TracebackType
from typing import Any, Protocol

from dragoman_models.errors import OverloadedError
from dragoman_server.call_deadline import bounded
from dragoman_server.caller import Caller, current_caller, name_by_token, set_caller
from dragoman_server.errors import DeadlinePassedError
from dragoman_server.interceptors.call import Call

SERVED_PREFIX = "/dragoman.v1."
_RETRY_SECONDS = 1.0


class Load(Protocol):
    """What is known of the load before a call is read."""

    def sheds(self, method: str) -> bool:
        """Whether some calls of the method would be refused, whatever they hold."""
        ...

    def check(self, caller: Caller) -> None:
        """Raises `OverloadedError` where a call of the caller would be."""
        ...


class CallAdmission:
    """Lets calls of Dragoman's services in until the server drains.

    Health, reflection and channelz are always let in and never waited for: their streams may last
    as long as the server.
    """

    def __init__(self, max_deadline_seconds: float, load: Load) -> None:
        self._load = load
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

    def may_refuse_unread(self, method: str) -> bool:
        """Whether some calls of `method` are refused at present, whatever they hold."""
        return method.startswith(SERVED_PREFIX) and self._load.sheds(method)

    def admitted(self, call: Call) -> "_Admitted":
        """What surrounds the answer of a call; entering raises where it is not let in."""
        if not call.method.startswith(SERVED_PREFIX):
            return _Admitted(self, self._watching, None)
        if self._draining:
            raise OverloadedError("the server is stopping", _RETRY_SECONDS)
        remaining = call.seconds_left()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassedError("the deadline passed before the call began")
        set_caller(call.peer, call.method, remaining)
        name_by_token()
        self._load.check(current_caller())
        return _Admitted(self, self._in_flight, bounded(self._max_deadline_seconds))

    def begin(self, tasks: set[asyncio.Task[Any]]) -> asyncio.Task[Any]:
        """Count this task among `tasks`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler always runs in a task
        tasks.add(task)
        if tasks is self._in_flight:
            self._idle.clear()
        return task

    def end(self, tasks: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
        """Count it no more."""
        tasks.discard(task)
        if not self._in_flight:
            self._idle.set()

    @property
    def ending(self) -> bool:
        """Whether calls that are cancelled are so because the server ends."""
        return self._ending


class _Admitted:
    """Keeps a call's task among those in flight, within its time, and says so when `end_calls`
    ends it. A class, for the event loop keeps a list of all asynchronous generators."""

    __slots__ = ("_admission", "_bound", "_task", "_tasks")

    def __init__(
        self, admission: CallAdmission, tasks: set[asyncio.Task[Any]], bound: bounded | None
    ) -> None:
        self._admission = admission
        self._tasks = tasks
        self._bound = bound

    async def __aenter__(self) -> None:
        self._task = self._admission.begin(self._tasks)
        if self._bound is not None:
            await self._bound.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._bound is not None:
                await self._bound.__aexit__(kind, error, traceback)
        finally:
            self._admission.end(self._tasks, self._task)
        if isinstance(error, asyncio.CancelledError) and self._admission.ending:
            self._task.uncancel()
            raise OverloadedError("the server is stopping", _RETRY_SECONDS) from None
