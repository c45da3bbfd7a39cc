"""Which call of a client is next, among many that wait."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, Protocol, TypeVar

Key = tuple[Hashable, int]  # of a lane, and the band of lengths
Order = tuple[float, int]


class TakesTurns(Protocol):
    """A call that waits. Its order may change while it does, but only to a later one."""

    @property
    def order(self) -> Order: ...

    def has_waiting(self, band: int) -> bool:
        """Whether an item of the band waits."""
        ...


Waiter = TypeVar("Waiter", bound=TakesTurns)


class Turns(Generic[Waiter]):
    """Heaps by lane and band, so that to take a batch costs by its items, not by all that wait.

    An entry whose call has left or has been served elsewhere stays, and is dropped or put where it
    belongs when it comes to the top.
    """

    def __init__(self) -> None:
        self._heaps: dict[Key, list[tuple[Order, int, Waiter]]] = {}
        self._tie = count()

    def enter(self, key: Key, one: Waiter) -> None:
        """It has an item of that lane and band, for the first time since it had none."""
        heapq.heappush(self._heaps.setdefault(key, []), (one.order, next(self._tie), one))

    def first(self, key: Key) -> Waiter | None:
        """The next of those with an item of that lane and band."""
        heap = self._heaps.get(key)
        while heap:
            order, _, one = heap[0]
            if not one.has_waiting(key[1]):
                heapq.heappop(heap)
            elif one.order != order:
                self._replace_first(heap, one)
            else:
                return one
        self._heaps.pop(key, None)
        return None

    def first_of_all(self) -> Waiter | None:
        """The next of all."""
        firsts = [one for key in list(self._heaps) if (one := self.first(key)) is not None]
        return min(firsts, key=lambda one: one.order, default=None)

    def served(self, key: Key) -> None:
        """The first has been served, and perhaps has no more."""
        heap = self._heaps[key]
        one = heap[0][2]
        if one.has_waiting(key[1]):
            self._replace_first(heap, one)
        else:
            heapq.heappop(heap)

    def clear(self) -> None:
        """Nobody waits."""
        self._heaps.clear()

    def _replace_first(self, heap: list[tuple[Order, int, Waiter]], one: Waiter) -> None:
        heapq.heapreplace(heap, (one.order, next(self._tie), one))
