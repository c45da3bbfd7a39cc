"""Runs model calls in a bounded pool of threads, off the event loop.

A call waits its turn in a bounded queue; when the queue is full it is refused at once, with a
guess of when to come back. A caller that goes away while it waits is never started; one that goes
away later raises the flag of its work, which looks at it at every step.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from dragoman_models.errors import OverloadedError, WorkCancelledError

Answer = TypeVar("Answer")

_SMOOTHING = 0.2  # weight of the newest call in the mean duration
_SHORTEST_RETRY, _LONGEST_RETRY = 0.05, 10.0


class CancelFlag:
    """Whether a piece of work is still wanted. Safe to use from any thread."""

    def __init__(self) -> None:
        self._raised = threading.Event()

    def cancel(self) -> None:
        """The work is no longer wanted."""
        self._raised.set()

    def is_cancelled(self) -> bool:
        return self._raised.is_set()

    def check(self) -> None:
        """Raise `WorkCancelledError` if the work is no longer wanted."""
        if self._raised.is_set():
            raise WorkCancelledError


class WorkQueue:
    """`worker_threads` threads, and at most `max_queued` calls that wait for one of them."""

    def __init__(self, name: str, *, worker_threads: int, max_queued: int) -> None:
        self._name = name
        self._worker_threads = worker_threads
        self._max_queued = max_queued
        self._executor = ThreadPoolExecutor(worker_threads, thread_name_prefix=name)
        self._slots = asyncio.Semaphore(worker_threads)
        self._queued = 0
        self._running: set[CancelFlag] = set()
        self._mean_seconds = _SHORTEST_RETRY

    @property
    def queued(self) -> int:
        """Calls that wait for a thread."""
        return self._queued

    @property
    def running(self) -> int:
        """Calls that a thread is at work on, also those whose callers have gone."""
        return len(self._running)

    async def run(self, work: Callable[[CancelFlag], Answer], *, admitted: bool = False) -> Answer:
        """What `work` returns or raises in a thread of the pool.

        Raises `OverloadedError` when the queue is full, unless the work is part of a call that was
        `admitted` before: that waits its turn. When the calling task is cancelled, the work's flag
        is raised, and its thread is free for others only once the work has ended.
        """
        await self._take_slot(admitted=admitted)
        flag = CancelFlag()
        try:
            future = self._executor.submit(self._timed, work, flag)
        except BaseException:
            self._slots.release()
            raise
        self._running.add(flag)
        loop = asyncio.get_running_loop()

        def ended(_: Future[Answer]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for a thread
                loop.call_soon_threadsafe(self._end, flag)

        future.add_done_callback(ended)
        try:
            return await asyncio.wrap_future(future)
        finally:
            flag.cancel()  # in case this task was cancelled

    def close(self) -> None:
        """Cancel all work and take no more. Does not wait for threads that are still at work."""
        for flag in self._running:
            flag.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _take_slot(self, *, admitted: bool) -> None:
        if not admitted and self._slots.locked() and self._queued >= self._max_queued:
            raise OverloadedError(f"the queue of {self._name} is full", self._retry_after())
        self._queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._queued -= 1

    def _end(self, flag: CancelFlag) -> None:
        self._running.discard(flag)
        self._slots.release()

    def _timed(self, work: Callable[[CancelFlag], Answer], flag: CancelFlag) -> Answer:
        flag.check()
        started = time.monotonic()
        try:
            return work(flag)
        finally:
            taken = time.monotonic() - started
            self._mean_seconds += _SMOOTHING * (taken - self._mean_seconds)

    def _retry_after(self) -> float:
        """Seconds until a place in the queue should be free: one thread's share of a turn."""
        expected = self._mean_seconds * (self._queued + 1) / self._worker_threads
        return round(min(max(expected, _SHORTEST_RETRY), _LONGEST_RETRY), 3)
