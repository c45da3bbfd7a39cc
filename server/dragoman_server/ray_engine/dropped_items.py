"""Which items of the calls of a replica nobody wants any more."""

from collections import OrderedDict
from collections.abc import Iterable

_MOST_CALLS = 10_000  # that are remembered although they have not come, or have ended


class CallItems:
    """The dropped items of one call; one thread adds, another asks."""

    def __init__(self) -> None:
        self._indices: set[int] = set()
        self._all = False

    def __contains__(self, index: int) -> bool:
        return self._all or index in self._indices

    def update(self, indices: Iterable[int]) -> None:
        """Drop these."""
        self._indices.update(indices)

    def add_all(self) -> None:
        """Drop all that there are."""
        self._all = True


class DroppedItems:
    """Notices may come before their call does, and after it has ended."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, CallItems] = OrderedDict()
        self._running: dict[str, CallItems] = {}
        self._everything = False

    def of(self, call: str) -> CallItems:
        """The items of a call that begins."""
        items = self._calls.pop(call, None) or CallItems()
        self._running[call] = items
        if self._everything:
            items.add_all()
        return items

    def forget(self, call: str) -> None:
        """A call has ended."""
        self._running.pop(call, None)

    def note(self, call: str, indices: Iterable[int]) -> None:
        """These items are not wanted."""
        running = self._running.get(call)
        if running is not None:
            running.update(indices)
            return
        self._calls.setdefault(call, CallItems()).update(indices)
        if len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)

    def add_everything(self) -> None:
        """Nobody wants anything of any call."""
        self._everything = True
        for items in list(self._running.values()):
            items.add_all()
