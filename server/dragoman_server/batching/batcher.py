"""Gathers the work of concurrent calls into batches and has them run by a few threads.

A worker that is idle takes what is there at the end of the loop's turn, so a lone caller never
waits for others. While all workers are busy, arrivals gather; after a batch of several calls, the
next one waits a little for their callers to come again (`gathering`).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from dragoman_models.errors import OverloadedError, WorkCancelledError
from dragoman_server.batching.admission import Admission, QueueLimits
from dragoman_server.batching.engine import Lane, Work
from dragoman_server.batching.fair_queue import BatchLimits, FairQueue, Flow, Item
from dragoman_server.batching.gathering import Gathering
from dragoman_server.batching.observer import BatchObserver, BatchRecord, NoObserver
from dragoman_server.batching.quotas import ClientQuota, ClientQuotas
from dragoman_server.batching.running_batch import Failure, RunningBatch
from dragoman_server.batching.shed_gate import ShedGate
from dragoman_server.caller import Caller, current_caller
from dragoman_server.errors import QuotaExceededError


class Batcher:
    """Belongs to the event loop; only the engines run in threads."""

    def __init__(
        self, name: str, *, worker_threads: int, queue: QueueLimits | None = None,
        batch: BatchLimits | None = None, quota: ClientQuota | None = None,
        observer: BatchObserver | None = None, clock: Callable[[], float] = time.monotonic,
        longest_gathering: float = 0.05,
    ) -> None:  # fmt: skip
        """`name` stands in errors ("the queue of NAME is full"); `clock` is `time.monotonic`, or
        something that a test controls; `longest_gathering` is the share of a batch's time that the
        next one waits at most for the callers of the last (`gathering`)."""
        self.observer = observer or NoObserver()
        self._name = name
        self._workers = worker_threads
        self._clock = clock
        self._executor = ThreadPoolExecutor(worker_threads, thread_name_prefix=name)
        self._queue = FairQueue(batch or BatchLimits())
        self._admission = Admission(name, queue or QueueLimits(), worker_threads)
        self._quotas = ClientQuotas(quota or ClientQuota())
        self._gate = ShedGate(name)
        self._running: set[RunningBatch] = set()
        self._scheduled = False
        self._gathering = Gathering(longest_gathering)
        self._room: list[asyncio.Future[None]] = []
        self._closed = False

    @property
    def queued(self) -> int:
        """Calls that wait for a worker."""
        return self._queue.calls

    @property
    def queued_cost(self) -> int:
        """Tokens that wait for a worker."""
        return self._queue.cost

    @property
    def running(self) -> int:
        """Batches that a worker is at work on, also those that nobody waits for any more."""
        return len(self._running)

    def call(self, lane: Lane) -> "BatchedCall":
        """The share of the current task's call, as a context manager."""
        return BatchedCall(self, lane, current_caller())

    def close(self) -> None:
        """Cancel all work and take no more. Does not wait for threads that are still at work."""
        self._closed = True
        for batch in self._running:
            batch.cancel()
        while items := self._queue.take():
            for item in items:
                _fail(item, WorkCancelledError())
        self._executor.shutdown(wait=False, cancel_futures=True)

    def admit(self, flow: Flow, works: Sequence[Work], caller: Caller) -> None:
        """Raises `OverloadedError` or `QuotaExceededError` where the work may not wait."""
        cost = sum(work.cost for work in works)
        kind, now = flow.lane.kind, self._clock()
        self._gate.seen(caller, cost)
        if self._closed:
            self.observer.shed(kind, "stopping", cost)
            raise OverloadedError("the server is stopping", 1.0)
        try:
            self._quotas.take(flow.client, cost, self._queue.client_cost(flow.client), now)
        except QuotaExceededError:
            self.observer.shed(kind, "quota", cost)
            raise
        refusal = self._admission.refusal(
            self._queue, flow, cost, len(works), caller=caller, idle=self._idle,
            busy_seconds=self._busy_seconds, now=now,
        )  # fmt: skip
        if refusal is not None:
            self._quotas.give_back(flow.client, cost)
            self.observer.shed(kind, refusal.reason, cost)
            self._gate.refused(caller, cost, refusal, now)
            raise refusal.error

    def sheds(self, method: str) -> bool:
        """Whether `check_load` refuses some calls of the method at present."""
        return self._gate.closed(method, self._clock()) and self._idle <= self._queue.calls

    def check_load(self, caller: Caller) -> None:
        """Raises `OverloadedError` where calls like the caller's were refused a moment ago, before
        anything is done for this one."""
        if self._idle > self._queue.calls:
            return
        error = self._gate.refusal(caller, self._clock())
        if error is not None:
            self.observer.shed(caller.method.rpartition("/")[2], "unread", 0)
            raise error

    def check_room(self, flow: Flow) -> None:
        """Raises `OverloadedError` where the queue is full, before much is done for a call."""
        if not self._admission.has_room(self._queue, 1):
            self.observer.shed(flow.lane.kind, "queue", 1)
            raise self._admission.full(self._queue, 1, self._busy_seconds())

    async def room(self, cost: int) -> None:
        """Wait until so many tokens more may wait; for work of a call that was let in before."""
        while not (self._admission.has_room(self._queue, cost) or self._closed):
            freed = asyncio.get_running_loop().create_future()
            self._room.append(freed)
            await freed

    def add(self, flow: Flow, works: Sequence[Work]) -> "list[asyncio.Future[Any]]":
        """Let work wait that is admitted; its outcomes."""
        if self._closed:
            raise OverloadedError("the server is stopping", 1.0)
        loop = asyncio.get_running_loop()
        items = self._queue.add(flow, works, self._clock())
        for item in items:
            item.answer = loop.create_future()
        self._schedule()
        return [item.answer for item in items]

    def leave(self, flow: Flow) -> None:
        """Give up what waits of a call; what is being worked on looks at the flow itself."""
        for item in self._queue.remove(flow):
            item.answer.cancel()
        self._wake_waiting_for_room()

    @property
    def _idle(self) -> int:
        return self._workers - len(self._running)

    def _busy_seconds(self) -> float:
        now = self._clock()
        rates = self._admission.rates
        expected = [(rates.seconds(b.kind, b.cost), now - b.started) for b in self._running]
        return sum(max(0.0, seconds - passed) for seconds, passed in expected)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._idle > 0 and self._queue.calls and not self._closed:
            left = self._gathering.left(self._queue.calls, self._clock())
            if left > 0:
                if not self._scheduled:
                    self._scheduled = True
                    asyncio.get_running_loop().call_later(left, self._dispatch)
                return
            self._gathering.batch_begins()
            items = self._without_late(self._queue.take())
            if items:
                self._start(items)
        self._wake_waiting_for_room()

    def _without_late(self, items: list[Item]) -> list[Item]:
        """What may still be of use; the callers of the rest are told, if they are still there."""
        late = [item for item in items if item.flow.is_over()]
        for item in late:
            _fail(item, item.flow.why_over())
        if late:
            self.observer.expired(late[0].flow.lane.kind, len(late))
        return [item for item in items if not item.flow.is_over()] if late else items

    def _start(self, items: list[Item]) -> None:
        loop = asyncio.get_running_loop()
        batch = RunningBatch(items, started=self._clock())
        self._running.add(batch)

        def ended(_: object) -> None:
            batch.ended = self._clock()
            with suppress(RuntimeError):  # the loop is closed: nobody waits for a thread
                loop.call_soon_threadsafe(self._end, batch)

        self._executor.submit(batch.run).add_done_callback(ended)

    def _end(self, batch: RunningBatch) -> None:
        self._running.discard(batch)
        seconds = batch.ended - batch.started
        self._admission.heard_late(self._clock() - batch.ended)
        cancelled = 0
        for item, outcome in zip(batch.items, batch.outcomes, strict=True):
            if item.flow.is_over():
                cancelled += 1
                _fail(item, item.flow.why_over())
            elif isinstance(outcome, Failure):
                _fail(item, outcome.error)
            elif not item.answer.done():
                item.answer.set_result(outcome)
        if cancelled < len(batch.items) and not batch.failed:
            self._admission.rates.measured(batch.kind, batch.cost, seconds)
        self._gathering.batch_ended(batch.calls, seconds, self._clock())
        self.observer.batch_ended(
            BatchRecord(
                kind=batch.kind, items=len(batch.items), calls=batch.calls, cost=batch.cost,
                queue_seconds=tuple(batch.started - item.queued_at for item in batch.items),
                model_seconds=seconds, cancelled=cancelled, failed=batch.failed,
            )
        )  # fmt: skip
        if self._queue.calls:
            self._schedule()

    def _wake_waiting_for_room(self) -> None:
        waiting, self._room = self._room, []
        for freed in waiting:
            if not freed.done():
                freed.set_result(None)


class BatchedCall:
    """The work of one call: its items wait together, and are given up together.

        async with batcher.call(lane) as call:
            outcomes = await call.run(works)

    When the `async with` is left, by whatever way, all that is not yet done is given up: what waits
    is never started, and what is being worked on stops at its next step.
    """

    def __init__(self, batcher: Batcher, lane: Lane, caller: Caller) -> None:
        self._batcher = batcher
        self._caller = caller
        self._flow = Flow(caller.client, lane, deadline=caller.deadline, clock=batcher._clock)
        self._answers: list[asyncio.Future[Any]] = []

    async def __aenter__(self) -> "BatchedCall":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flow.cancelled = True
        self._batcher.leave(self._flow)

    def submit(
        self, works: Sequence[Work], *, admitted: bool = False
    ) -> "list[asyncio.Future[Any]]":
        """A future for the outcome of each item.

        Raises `OverloadedError` and `QuotaExceededError`, with nothing taken on; unless the work is
        part of a call that was `admitted` before: that waits its turn.
        """
        if not admitted:
            self._batcher.admit(self._flow, works, self._caller)
        answers = self._batcher.add(self._flow, works)
        for answer in answers:
            answer.add_done_callback(_heard)
        return answers

    async def run(self, works: Sequence[Work], *, admitted: bool = False) -> list[Any]:
        """The outcomes of all items, in order; raises what `submit` and what the engine raises."""
        return [await answer for answer in self.submit(works, admitted=admitted)]

    def check_room(self) -> None:
        """Raises `OverloadedError` where not even one token more could wait."""
        self._batcher.check_room(self._flow)

    async def room(self, works: Sequence[Work]) -> None:
        """Wait until there is room for more work of a call that was let in."""
        await self._batcher.room(sum(work.cost for work in works))


def _heard(answer: "asyncio.Future[Any]") -> None:
    """A call ends by the first of its errors; that nobody asks for the others is no defect."""
    if not answer.cancelled():
        answer.exception()


def _fail(item: Item, error: BaseException) -> None:
    if not item.answer.done():
        item.answer.set_exception(error)
