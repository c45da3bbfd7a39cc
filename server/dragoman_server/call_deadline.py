"""The time that the server gives a call, whatever the caller's own deadline.

A stream of any length gets it anew with each answer: what is bounded there is the time from one
answer to the next, so that a stream which nobody uses any more ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from dragoman_server.errors import DeadlinePassedError


@dataclass(kw_only=True)
class _Bound:
    timeout: asyncio.Timeout
    seconds: float
    renewed: bool = False


_current: ContextVar[_Bound | None] = ContextVar("call_deadline", default=None)


@asynccontextmanager
async def bounded(seconds: float) -> AsyncIterator[None]:
    """Ends what is inside after `seconds`, by `DeadlinePassedError`."""
    bound = _Bound(timeout=asyncio.timeout(seconds), seconds=seconds)
    _current.set(bound)  # each call has a task, and so a context, of its own
    try:
        async with bound.timeout:
            yield
    except TimeoutError:
        if not bound.timeout.expired():
            raise
        limit = f"{seconds:g} s, the longest that this server allows"
        if bound.renewed:
            text = f"the stream gave no answer for {limit}; send requests sooner, or less at once"
        else:
            text = f"the call took {limit}; send less at once"
        raise DeadlinePassedError(text) from None


def renew() -> None:
    """Give this task's call its whole time again; for streams, with each answer."""
    bound = _current.get()
    if bound is not None:
        bound.renewed = True
        bound.timeout.reschedule(asyncio.get_running_loop().time() + bound.seconds)
