"""Waiting work, and which of it makes the next batch.

Clients share the workers equally by cost, and so do the calls of a client. Each has a *start tag*:
the virtual time at which an ideal server, that worked on all of them at once, would begin its next
item (`virtual_time`; tags as in start-time fair queueing: Goyal, Vin and Cheng 1997). The one with
the smallest tag is next, and what is taken from it moves its tag on by the cost. Virtual time never
lags behind the smallest tag (as in Bennett and Zhang's WF2Q+, 1996), so who comes back after a
pause has saved nothing up.

A call that arrives has the tag of the present, and goes before calls of the same tag that have been
served. So beside a long job it is in the very next batch, or, where such calls keep arriving and
cannot share its batches, in the one after.
"""

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from dragoman_models.errors import DragomanError, WorkCancelledError
from dragoman_server.batching.engine import Lane, Work
from dragoman_server.batching.turns import Turns
from dragoman_server.batching.virtual_time import VirtualTime
from dragoman_server.errors import DeadlinePassedError

_SHORT_TOKENS = 64  # all up to here are alike; above, up to 4 times as long
_MOST_IDLE_CLIENTS = 1_024


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """The most that a batch holds; one item that costs more is a batch of its own."""

    items: int = 64
    cost: int = 16_384


@dataclass(kw_only=True, eq=False)
class Item:
    """An item that waits, or that a worker is at work on."""

    flow: "Flow"
    work: Work
    number: int  # in the order of arrival
    queued_at: float
    answer: Any  # an asyncio.Future, which nothing here looks at


def length_band(length: int) -> int:
    """Items of the same band may share a batch: 0 up to 64 tokens, 1 up to 256, 2 up to 1,024..."""
    band, top = 0, _SHORT_TOKENS
    while length > top:
        band, top = band + 1, top * 4
    return band


class _Sharer:
    """Something that takes turns: its tag, and when it was last served."""

    def __init__(self) -> None:
        self.start = 0.0
        self.served = -1  # the batch that it last had a part in; -1: none

    @property
    def order(self) -> tuple[float, int]:
        """Who comes first: the smallest tag, and of equals who was not served for the longest."""
        return self.start, self.served


class Flow(_Sharer):
    """The waiting items of one call, and whether it is still wanted."""

    def __init__(
        self,
        client: str,
        lane: Lane,
        *,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.client = client
        self.lane = lane
        self.cancelled = False
        self._deadline = deadline
        self._clock = clock
        self.cost = 0
        self.total = 0  # the cost of all that ever waited
        self.count = 0
        self._bands: dict[int, deque[Item]] = {}

    def is_over(self) -> bool:
        """Whether the caller has gone or its deadline has passed; for any thread. It stays so."""
        if self.cancelled:
            return True
        return self._deadline is not None and self._clock() >= self._deadline

    def why_over(self) -> DragomanError:
        """The error of work that `is_over` ended."""
        if self.cancelled:
            return WorkCancelledError()
        return DeadlinePassedError("the deadline passed before the work was done")

    def add(self, item: Item, band: int) -> None:
        self._bands.setdefault(band, deque()).append(item)
        self.cost += item.work.cost
        self.total += item.work.cost
        self.count += 1

    def first_band(self) -> int:
        """The band of the item that has waited longest."""
        return min(self._bands, key=lambda band: self._bands[band][0].number)

    def peek(self, band: int) -> Item:
        return self._bands[band][0]

    def has_waiting(self, band: int) -> bool:
        """Whether an item of the band waits."""
        return band in self._bands

    def pop(self, band: int) -> Item:
        waiting = self._bands[band]
        item = waiting.popleft()
        if not waiting:
            del self._bands[band]
        self.cost -= item.work.cost
        self.count -= 1
        return item

    def clear(self) -> list[Item]:
        """Takes all out that waits."""
        items = [item for waiting in self._bands.values() for item in waiting]
        self._bands.clear()
        self.cost = self.count = 0
        return items


class _Client(_Sharer):
    """The calls of one client, which have a virtual time of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.time = VirtualTime()
        self.flows: dict[Flow, None] = {}  # in the order of arrival
        self.turns: Turns[Flow] = Turns()
        self.cost = 0  # of all that waits
        self.totals: Counter[int] = Counter()  # flows by the cost of all that they ever had

    def total_changed(self, before: int, after: int | None) -> None:
        """A flow that had `before` in all has `after`, or waits no more."""
        self.totals[before] -= 1
        if not self.totals[before]:
            del self.totals[before]
        if after is not None:
            self.totals[after] += 1


@dataclass
class _Waiting:
    """What waits of one kind of work."""

    cost: int = 0
    items: int = 0
    lanes: Counter[Hashable] = field(default_factory=Counter)  # calls by the key of their lane


class FairQueue:
    """All that waits. Not safe to use from several threads."""

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.cost = 0
        self.calls = 0  # flows that wait with an item
        self.kinds: dict[str, _Waiting] = {}
        self._clients: dict[str, _Client] = {}  # idle ones too, while their tag lies ahead
        self._time = VirtualTime()
        self._numbers = count()
        self._batches = count()

    def add(self, flow: Flow, works: Iterable[Work], queued_at: float) -> list[Item]:
        """Let items wait behind those of their flow."""
        items = [
            Item(flow=flow, work=work, number=next(self._numbers), queued_at=queued_at, answer=None)
            for work in works
        ]
        if items and not flow.count:
            self._activate(flow)
        if not items:
            return []
        client, before = self._clients[flow.client], flow.total
        for item in items:
            band = length_band(item.work.length)
            is_first = not flow.has_waiting(band)
            flow.add(item, band)
            if is_first:
                client.turns.enter((flow.lane.key, band), flow)
            self._count(item, 1)
        client.total_changed(before, flow.total)
        return items

    def remove(self, flow: Flow) -> list[Item]:
        """Take out all that waits of a call that is over."""
        items = flow.clear()
        for item in items:
            self._count(item, -1)
        if items:
            self._deactivate(flow)
        return items

    def take(self) -> list[Item]:
        """The next batch; empty where nothing waits."""
        clients = self._active()
        if not clients:
            return []
        first = min(clients, key=lambda one: one.order)
        head = first.turns.first_of_all()
        assert head is not None  # noqa: S101 - an active client has a flow that waits
        batch = self._gathered(clients, head.lane, head.first_band())
        self._charge(batch, clients)
        for flow in {item.flow: None for item in batch}:
            if not flow.count:
                self._deactivate(flow)
        return batch

    def cost_before(self, flow: Flow, cost: int) -> int:
        """Tokens that will have been worked on when `cost` more of `flow` have, at equal shares.

        A call of a client has its own cost and at most as much of each other call of the client
        before its end; the client has all that and at most as much of each other client. Another
        call counts with all that it ever had, not with what it has left: where calls keep coming,
        one that ends is followed by the next.
        """
        client = self._clients.get(flow.client)
        cost += flow.cost
        own = cost
        if client is not None:
            own += sum(min(total, cost) * count for total, count in client.totals.items())
            own -= min(flow.total, cost) if flow in client.flows else 0
        rest = (one for one in self._active() if one is not client)
        return own + sum(min(one.cost, own) for one in rest)

    def client_cost(self, client: str) -> int:
        """Tokens that wait of one client."""
        found = self._clients.get(client)
        return 0 if found is None else found.cost

    def _active(self) -> list[_Client]:
        return [client for client in self._clients.values() if client.flows]

    def _gathered(self, clients: list[_Client], lane: Lane, band: int) -> list[Item]:
        """Items of the lane and band, each from whoever is next, within the limits."""
        ready = _ClientTurns(clients, lane, band)
        most = lane.max_items or self.limits.items
        batch: list[Item] = []
        cost = 0
        for flow, item in ready:
            if batch and (len(batch) >= most or cost + item.work.cost > self.limits.cost):
                break
            batch.append(flow.pop(band))
            cost += item.work.cost
            self._count(item, -1)
        return batch

    def _charge(self, batch: list[Item], clients: list[_Client]) -> None:
        """Let virtual time pass; the tags of those who were served have moved on already."""
        number = next(self._batches)
        costs: Counter[str] = Counter()
        starts: dict[str, float] = {}
        for item in batch:
            name = item.flow.client
            costs[name] += item.work.cost
            starts[name] = min(starts.get(name, item.flow.start), item.flow.start)
            item.flow.served = number
        for name, cost in costs.items():
            client = self._clients[name]
            client.served = number
            waiting = client.turns.first_of_all()
            start = starts[name] if waiting is None else min(starts[name], waiting.start)
            _pass_time(client.time, cost, len(client.flows), start)
        start = min(one.start for one in clients)
        _pass_time(self._time, sum(costs.values()), len(clients), start)

    def _activate(self, flow: Flow) -> None:
        client = self._clients.get(flow.client)
        if client is None:
            self._forget_idle()
            client = self._clients[flow.client] = _Client()
        if not client.flows:
            client.start = self._time.come_back(client.start)
        flow.start = client.time.come_back(flow.start)
        client.flows[flow] = None
        client.totals[flow.total] += 1
        self.calls += 1
        waiting = self.kinds.setdefault(flow.lane.kind, _Waiting())
        waiting.lanes[flow.lane.key] += 1

    def _deactivate(self, flow: Flow) -> None:
        client = self._clients[flow.client]
        del client.flows[flow]
        client.total_changed(flow.total, None)
        client.time.leave(flow.start)
        if not client.flows:
            client.turns.clear()
            self._time.leave(client.start)
        self.calls -= 1
        waiting = self.kinds[flow.lane.kind]
        waiting.lanes[flow.lane.key] -= 1
        if not waiting.lanes[flow.lane.key]:
            del waiting.lanes[flow.lane.key]
        if not waiting.lanes:
            del self.kinds[flow.lane.kind]

    def _forget_idle(self) -> None:
        """Drop clients whose tags say nothing any more, and of the others no more than fits."""
        if len(self._clients) < _MOST_IDLE_CLIENTS:
            return
        idle = [name for name, one in self._clients.items() if not one.flows]
        behind = [name for name in idle if self._clients[name].start <= self._time.now]
        for name in behind or idle:
            del self._clients[name]

    def _count(self, item: Item, sign: int) -> None:
        waiting = self.kinds[item.flow.lane.kind]
        waiting.items += sign
        waiting.cost += sign * item.work.cost
        self._clients[item.flow.client].cost += sign * item.work.cost
        self.cost += sign * item.work.cost


def _pass_time(time: VirtualTime, work: int, sharers: int, earliest_start: float) -> None:
    time.pass_by(work, sharers)
    time.now = max(time.now, earliest_start)


class _ClientTurns:
    """Whose item is next, among those that have one of the lane and band."""

    def __init__(self, clients: list[_Client], lane: Lane, band: int) -> None:
        self._key = lane.key, band
        self._tie = count()
        self._heap: list[Any] = [
            (client.order, next(self._tie), client)
            for client in clients
            if client.turns.first(self._key) is not None
        ]
        heapq.heapify(self._heap)

    def __iter__(self) -> Iterator[tuple[Flow, Item]]:
        """Each flow with the item that is next; going on means that it has been taken."""
        _, band = self._key
        while self._heap:
            _, _, client = self._heap[0]
            flow = client.turns.first(self._key)
            item = flow.peek(band)
            yield flow, item
            client.start += item.work.cost
            flow.start += item.work.cost
            client.turns.served(self._key)
            if client.turns.first(self._key) is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (client.order, next(self._tie), client))
