"""Work in a thread that tells how far it is, as a stream of events."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from dragoman_server.work_queue import CancelFlag, WorkQueue

Answer = TypeVar("Answer")

# A caller is told something at least this often, and no oftener than the second.
_LONGEST_SILENCE = 2.0
_SHORTEST_PAUSE = 0.1


class Progress:
    """How many items of a piece of work are done. The work counts, the event loop reads."""

    def __init__(self, flag: CancelFlag) -> None:
        self._flag = flag
        self.done = 0

    def add(self, count: int) -> None:
        """Count items; raises `WorkCancelledError` if the work is no longer wanted."""
        self._flag.check()
        self.done += count


class ProgressOrAnswer(Generic[Answer]):
    """An event: `answer` where the work has ended, else None."""

    def __init__(self, done: int, answer: Answer | None = None) -> None:
        self.done = done
        self.answer = answer


async def with_progress(
    queue: WorkQueue, work: Callable[[Progress], Answer]
) -> AsyncGenerator[ProgressOrAnswer[Answer], None]:
    """Runs `work` in `queue`; gives its progress every now and then and its answer last.

    Raises what the work raises, and what `WorkQueue.run` raises. When the calling task is
    cancelled, the work stops the next time that it counts.
    """
    current: Progress | None = None

    def run(flag: CancelFlag) -> Answer:
        nonlocal current
        current = Progress(flag)
        return work(current)

    task = asyncio.ensure_future(queue.run(run))
    try:
        told, silence = -1, 0.0
        while not task.done():
            await asyncio.wait([task], timeout=_SHORTEST_PAUSE)
            silence += _SHORTEST_PAUSE
            done = current.done if current is not None else 0
            if not task.done() and (done != told or silence >= _LONGEST_SILENCE):
                told, silence = done, 0.0
                yield ProgressOrAnswer(done)
        yield ProgressOrAnswer(current.done if current is not None else 0, task.result())
    finally:
        task.cancel()
