"""Whether a call may wait, and when a refused one should come back."""

from collections.abc import Callable
from dataclasses import dataclass

from dragoman_models.errors import OverloadedError
from dragoman_server.batching.drain_rate import DrainRates, batches_of
from dragoman_server.batching.fair_queue import FairQueue, Flow
from dragoman_server.caller import Caller

# A rate is an estimate, and calls that come later take their share: a call that would be ready at
# the last moment is as good as late.
_MARGIN = 1.5
# After its batch, an answer passes through the event loop a few times before it leaves.
_TURNS_OF_AN_ANSWER = 4
_LATENESS_WEIGHT = 0.2
_SHORTEST_RETRY, _LONGEST_RETRY = 0.05, 10.0


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """The most that may wait: in tokens, which bounds the time, and in calls, which bounds memory.

    A call that alone has more tokens is let in while nothing else waits.
    """

    tokens: int = 1_000_000
    calls: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a call may not wait: one of "queue" and "deadline", and the error that says so.

    `wait_seconds` is how long it would have taken.
    """

    reason: str
    error: OverloadedError
    wait_seconds: float


class Admission:
    """Decides from what waits, and from how fast the workers were of late."""

    def __init__(self, name: str, limits: QueueLimits, workers: int) -> None:
        self._name = name
        self._limits = limits
        self._workers = workers
        self._lateness = 0.0
        self.rates = DrainRates()

    def heard_late(self, seconds: float) -> None:
        """A batch's end was heard of in the event loop so long after it. A loop that is busy with
        other calls is as late with what an answer needs before it leaves."""
        self._lateness += _LATENESS_WEIGHT * (seconds - self._lateness)

    def refusal(
        self, queue: FairQueue, flow: Flow, cost: int, items: int, *, caller: Caller,
        idle: int, busy_seconds: Callable[[], float], now: float,
    ) -> Refusal | None:  # fmt: skip
        """None where the call may wait.

        Args:
            cost, items: what the call adds to its `flow`.
            idle: workers that have nothing to do.
            busy_seconds: how long the others will yet take for what they are at work on, in sum.
        """
        if queue.calls >= self._limits.calls + idle or not self.has_room(queue, cost):
            error = self.full(queue, cost, busy_seconds())
            return Refusal(reason="queue", error=error, wait_seconds=2 * error.retry_after_seconds)
        if caller.deadline is None or idle > queue.calls:
            return None
        left = caller.deadline - now - _TURNS_OF_AN_ANSWER * self._lateness
        all_of_it = self._queued_seconds(queue, flow, cost, items)
        busy = busy_seconds()
        share = queue.cost_before(flow, cost) / (queue.cost + cost)
        alone = self.rates.seconds(flow.lane.kind, cost)
        needed = _MARGIN * max((busy + all_of_it * share) / self._workers, alone)
        if needed <= left:
            return None
        reason = (
            f"the queue of {self._name} needs {needed:.2g} s, and the deadline is in {left:.2g} s"
        )
        return Refusal(
            reason="deadline",
            error=OverloadedError(reason, self.retry_after(queue, cost, busy)),
            wait_seconds=needed,
        )

    def full(self, queue: FairQueue, cost: int, busy: float) -> OverloadedError:
        """The error of a queue that has no room for so many tokens more."""
        wait = self.retry_after(queue, cost, busy)
        return OverloadedError(f"the queue of {self._name} is full", wait)

    def has_room(self, queue: FairQueue, cost: int) -> bool:
        """Whether so many tokens more may wait."""
        return not queue.cost or queue.cost + cost <= self._limits.tokens

    def retry_after(self, queue: FairQueue, cost: int, busy: float) -> float:
        """Seconds until half of the queue has been worked off, and there is room for the call."""
        seconds = (busy + self._queued_seconds(queue, None, 0, 0)) / self._workers
        over = (queue.cost + cost - self._limits.tokens) / max(queue.cost, 1)
        expected = seconds * min(max(0.5, over), 1.0)
        return round(min(max(expected, _SHORTEST_RETRY), _LONGEST_RETRY), 3)

    def _queued_seconds(self, queue: FairQueue, flow: Flow | None, cost: int, items: int) -> float:
        """One worker's time for all that waits, and for so much more of `flow`."""
        total = 0.0
        kinds = dict.fromkeys(queue.kinds) | ({} if flow is None else {flow.lane.kind: None})
        for kind in kinds:
            waiting = queue.kinds.get(kind)
            more = flow is not None and flow.lane.kind == kind
            kind_cost = (waiting.cost if waiting else 0) + (cost if more else 0)
            batches = batches_of(
                kind_cost,
                (waiting.items if waiting else 0) + (items if more else 0),
                len(waiting.lanes) if waiting else 1,
                most_cost=queue.limits.cost,
                most_items=queue.limits.items,
            )
            total += self.rates.seconds(kind, kind_cost, batches)
        return total
