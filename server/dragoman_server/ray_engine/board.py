"""What a front end pins up for its replicas: bundles, and which items of which calls to drop.

An actor of Ray, which lives as long as the front end does. Replicas wait for the next notice with
one request each, so a call that nobody cancels costs nothing here.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from dragoman_server.workers.messages import Reply

NAMESPACE = "dragoman"
_MOST_NOTICES = 100_000
_LONGEST_WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Dropped:
    """Nobody wants these items of a call any more."""

    call: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Forgotten:
    """A model has left."""

    model: int


Notice = Dropped | Forgotten


class Board:
    """Its methods run in one event loop."""

    def __init__(self) -> None:
        self._bundles: dict[int, list[Any]] = {}
        self._reports: dict[int, asyncio.Future[Reply]] = {}
        self._notices: deque[Notice] = deque(maxlen=_MOST_NOTICES)
        self._pinned = 0  # how many notices there have ever been
        self._changed = asyncio.Event()

    async def add(self, model: int, bundle: list[Any]) -> None:
        """Keep the reference to a bundle: a list of one, so that Ray does not resolve it."""
        self._bundles[model] = bundle
        self._reports[model] = asyncio.get_running_loop().create_future()

    async def bundle(self, model: int) -> list[Any]:
        """A reference to the bundle; empty where the model has left."""
        return self._bundles.get(model, [])

    async def report(self, model: int, reply: Reply) -> None:
        """What became of loading the model in a replica; the first report counts."""
        report = self._reports.get(model)
        if report is not None and not report.done():
            report.set_result(reply)

    async def first_report(self, model: int) -> Reply:
        """What became of loading the model in the first replica that tried."""
        return await self._reports[model]

    async def remove(self, model: int) -> None:
        """Give up a bundle."""
        self._bundles.pop(model, None)
        self._reports.pop(model, None)
        self._pin(Forgotten(model))

    async def drop(self, call: str, indices: tuple[int, ...]) -> None:
        """Have the replica that works on a call drop items of it."""
        self._pin(Dropped(call, indices))

    async def after(self, seen: int) -> tuple[int, list[Notice]]:
        """How many notices there are, and those after the first `seen`; waits for one."""
        if seen >= self._pinned:
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), _LONGEST_WAIT_SECONDS)
            except TimeoutError:
                return self._pinned, []
        new = min(self._pinned - seen, len(self._notices))
        return self._pinned, list(self._notices)[len(self._notices) - new :]

    def _pin(self, notice: Notice) -> None:
        self._notices.append(notice)
        self._pinned += 1
        self._changed.set()
        self._changed = asyncio.Event()
