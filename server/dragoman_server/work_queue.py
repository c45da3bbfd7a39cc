"""Runs whole calls in a bounded pool of threads, off the event loop.

A call waits its turn in a bounded queue; when the queue is full it is refused at once, with a
guess of when to come back. A caller that goes away while it waits is never started; one that goes
away later raises the flag of its work, which looks at it at every step.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dragoman_models.errors import WorkCancelledError
from dragoman_server.batching.admission import QueueLimits
from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.engine import Cancelled, Lane, Work

Answer = TypeVar("Answer")


class CancelFlag:
    """Whether a piece of work is still wanted. Safe to use from any thread."""

    def __init__(self, cancelled: Callable[[], bool] | None = None) -> None:
        """`cancelled` is asked too, where it is given."""
        self._raised = False
        self._cancelled = cancelled

    def cancel(self) -> None:
        """The work is no longer wanted."""
        self._raised = True

    def is_cancelled(self) -> bool:
        return self._raised or (self._cancelled is not None and self._cancelled())

    def check(self) -> None:
        """Raise `WorkCancelledError` if the work is no longer wanted."""
        if self.is_cancelled():
            raise WorkCancelledError


class WorkQueue:
    """Calls that share no batch, by the workers of a batcher."""

    def __init__(
        self,
        name: str,
        *,
        worker_threads: int = 1,
        max_queued: int = 0,
        batcher: Batcher | None = None,
    ) -> None:
        """Without a `batcher`: one of its own with so many threads, in whose queue at most
        `max_queued` calls may wait."""
        self._name = name
        self.batcher = batcher or Batcher(
            name, worker_threads=worker_threads, queue=QueueLimits(calls=max_queued)
        )

    @property
    def queued(self) -> int:
        """Calls that wait for a thread."""
        return self.batcher.queued

    @property
    def running(self) -> int:
        """Calls that a thread is at work on, also those whose callers have gone."""
        return self.batcher.running

    async def run(
        self, work: Callable[[CancelFlag], Answer], *, admitted: bool = False, cost: int = 1
    ) -> Answer:
        """What `work` returns or raises in a thread of the pool; `cost` is in tokens, or what takes
        about as long.

        Raises `OverloadedError` when the queue is full, unless the work is part of a call that was
        `admitted` before: that waits its turn. When the calling task is cancelled, the work's flag
        is raised, and its thread is free for others only once the work has ended.
        """
        lane = Lane(key=object(), engine=_CALLS, kind=self._name, max_items=1)
        async with self.batcher.call(lane) as call:
            (answer,) = await call.run([Work(payload=work, cost=cost)], admitted=admitted)
        result: Answer = answer
        return result

    def close(self) -> None:
        """Cancel all work and take no more. Does not wait for threads that are still at work."""
        self.batcher.close()


class _WholeCalls:
    """An engine whose payloads are functions."""

    def run(
        self, payloads: Sequence[Callable[[CancelFlag], Any]], cancelled: Cancelled
    ) -> list[Any]:
        (work,) = payloads
        flag = CancelFlag(lambda: cancelled(0))
        flag.check()
        return [work(flag)]


_CALLS = _WholeCalls()
