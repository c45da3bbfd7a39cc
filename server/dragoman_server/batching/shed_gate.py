"""Refusals that are remembered for a moment.

To refuse a call by its cost it has to be received, decoded and counted in tokens first. When far
more calls come than can be answered, that takes the processor's time from those that are. So after
a refusal, calls of the same client and method with no more time left are refused unread for as long
as a tenth of the queue takes: the workers have the other nine tenths, and so lose nothing.
"""

from dataclasses import dataclass

from dragoman_models.errors import OverloadedError
from dragoman_server.batching.admission import Refusal
from dragoman_server.caller import Caller

_SHARE_OF_THE_WAIT = 0.1
_LONGEST_SECONDS = 0.25
_SIMILAR_DEADLINE = 1.25  # a deadline so much longer would have been refused as well
_SIMILAR_COST = 4  # a call of so many times the smallest cost is no large one
_FORGETTING = 1.05  # by which the smallest cost grows with each call
_SEEN_BEFORE = 8  # calls, until it is known what is large and what is not
_MOST_DOORS = 10_000


@dataclass(kw_only=True)
class _Door:
    """What is known of one client's calls of one method."""

    seen: int = 0
    smallest_cost: float = 0.0
    closed_until: float = 0.0
    for_seconds_left: float | None = None  # None: whatever the deadline
    retry_at: float = 0.0


class ShedGate:
    """Belongs to the event loop."""

    def __init__(self, name: str) -> None:
        """`name` stands in errors ("the queue of NAME ...")."""
        self._name = name
        self._doors: dict[tuple[str, str], _Door] = {}
        self._closed_until: dict[str, float] = {}  # by method: the last of its doors

    def seen(self, caller: Caller, cost: int) -> None:
        """A call was counted in tokens, whatever becomes of it."""
        key = caller.client, caller.method
        door = self._doors.pop(key, None) or _Door(smallest_cost=cost)
        door.seen += 1
        door.smallest_cost = min(cost, door.smallest_cost * _FORGETTING)
        self._doors[key] = door  # the newest last
        if len(self._doors) > _MOST_DOORS:
            del self._doors[next(iter(self._doors))]

    def refused(self, caller: Caller, cost: int, refusal: Refusal, now: float) -> None:
        """A call was refused; from that of a large one nothing follows for smaller ones."""
        door = self._doors.get((caller.client, caller.method))
        if door is None or door.seen < _SEEN_BEFORE:
            return
        if cost > _SIMILAR_COST * door.smallest_cost:
            return
        door.closed_until = now + min(_SHARE_OF_THE_WAIT * refusal.wait_seconds, _LONGEST_SECONDS)
        last = self._closed_until.get(caller.method, 0.0)
        self._closed_until[caller.method] = max(last, door.closed_until)
        door.retry_at = now + refusal.error.retry_after_seconds
        by_deadline = refusal.reason == "deadline" and caller.deadline is not None
        door.for_seconds_left = (caller.deadline or now) - now if by_deadline else None

    def closed(self, method: str, now: float) -> bool:
        """Whether any client's calls of the method are refused unread at present."""
        return now < self._closed_until.get(method, 0.0)

    def refusal(self, caller: Caller, now: float) -> OverloadedError | None:
        """The error of a call that is not to be read; None where it is to be judged by its cost."""
        door = self._doors.get((caller.client, caller.method))
        if door is None or now >= door.closed_until:
            return None
        if door.for_seconds_left is not None:
            if caller.deadline is None:
                return None
            if caller.deadline - now > _SIMILAR_DEADLINE * door.for_seconds_left:
                return None
        # In hundredths, of which few differ: the status is made once for all of them.
        wait = round(max(door.retry_at - now, 0.01), 2)
        return OverloadedError(f"the queue of {self._name} is too long", wait)
