"""The time that the server gives a call, whatever the caller's own deadline.

A stream of any length gets it anew with each answer: what is bounded there is the time from one
answer to the next, so that a stream which nobody uses any more ends.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType

from dragoman_server.errors import DeadlinePassedError


@dataclass(kw_only=True)
class _Bound:
    timeout: asyncio.Timeout
    seconds: float
    renewed: bool = False

    def passed(self) -> DeadlinePassedError:
        """The error of a call that took longer."""
        limit = f"{self.seconds:g} s, the longest that this server allows"
        if self.renewed:
            text = f"the stream gave no answer for {limit}; send requests sooner, or less at once"
        else:
            text = f"the call took {limit}; send less at once"
        return DeadlinePassedError(text)


_current: ContextVar[_Bound | None] = ContextVar("call_deadline", default=None)


class bounded:  # noqa: N801 - it is used as a function
    """Ends what is inside of `async with bounded(seconds)` by `DeadlinePassedError`."""

    def __init__(self, seconds: float) -> None:
        self._bound = _Bound(timeout=asyncio.timeout(seconds), seconds=seconds)

    async def __aenter__(self) -> None:
        _current.set(self._bound)  # each call has a task, and so a context, of its own
        await self._bound.timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            return bool(await self._bound.timeout.__aexit__(kind, error, traceback))
        except TimeoutError:
            raise self._bound.passed() from None


def renew() -> None:
    """Give this task's call its whole time again; for streams, with each answer."""
    bound = _current.get()
    if bound is not None:
        bound.renewed = True
        bound.timeout.reschedule(asyncio.get_running_loop().time() + bound.seconds)
