"""Mixed calls of all models by Dragoman's own client, in a closed loop and in an open one.

    python -m tests.benchmarks.serving.load [--seconds 30] [--callers 16] [--rate CALLS_A_SECOND]
        [--deadline 5] [--only KIND]... [--address HOST:PORT] [--results FOLDER]

Without `--address` a server with the shipped models is started, with its defaults. In the closed
loop each of the callers makes its next call when the last was answered, so the rate is what the
server gives. In the open loop calls come at a rate of their own, by default six tenths of that, at
random moments (a Poisson process, with a seed), whether or not others are answered: what real
callers feel. Nobody retries. Goodput counts what was answered within its deadline.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.serving.load_report import print_load, write_load
from tests.benchmarks.serving.mixed_calls import MIXED_CALLS, NEVER_AGAIN, MixedCall, mixed_call
from tests.benchmarks.serving.serving_run import quantile

from dragoman_client import AsyncClient, DragomanClientError

_OPEN_SHARE = 0.6  # of what the closed loop got
_WARM_UP = 40  # calls
_CONNECTIONS = 4


@dataclass(kw_only=True)
class LoopResult:
    """What a loop saw, by kind of call; times in seconds."""

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """As they are reported."""
        every = [one for kind in self.latencies.values() for one in kind]
        rows = {"all": every, **dict(sorted(self.latencies.items()))}
        return {
            "seconds": round(self.seconds, 2),
            "calls_per_second": round(self.statuses.total() / self.seconds, 1),
            "goodput_per_second": round(len(every) / self.seconds, 1),
            "statuses": dict(self.statuses),
            "latency_ms": {kind: _percentiles(values) for kind, values in rows.items()},
            "memory_mb": {
                "first": round(self.memory_mb[0]), "most": round(max(self.memory_mb)),
                "last": round(self.memory_mb[-1]),
            } if self.memory_mb else {},
        }  # fmt: skip


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = {name: round(1_000 * quantile(seconds, share), 1) for name, share in shares.items()}
    return {"calls": len(seconds), **found, "most": round(1_000 * max(seconds, default=0.0), 1)}


class Load:
    """Callers on a few connections."""

    def __init__(
        self, clients: Sequence[AsyncClient], only: Sequence[str], deadline: float
    ) -> None:
        self._clients = clients
        self._deadline = deadline
        numbers = (n for n in range(100) if not only or mixed_call(n).name in only)
        self._numbers = list(numbers)

    async def closed(self, callers: int, seconds: float, result: LoopResult) -> None:
        """Each caller makes a call when its last one has ended."""
        began = time.monotonic()

        async def caller(first: int) -> None:
            number = first
            while time.monotonic() - began < seconds:
                await self._one(number, result)
                number += callers

        await asyncio.gather(*(caller(first) for first in range(callers)))
        result.seconds = time.monotonic() - began

    async def open(self, rate: float, seconds: float, result: LoopResult, seed: int) -> None:
        """Calls at random moments, at that rate."""
        moments, began, number = random.Random(seed), time.monotonic(), 0
        due = 0.0
        async with asyncio.TaskGroup() as group:
            while (due := due + moments.expovariate(rate)) < seconds:
                await asyncio.sleep(max(0.0, began + due - time.monotonic()))
                group.create_task(self._one(number, result))
                number += 1
            result.seconds = seconds

    async def warm_up(self) -> None:
        """Some calls that nobody counts."""
        unseen = LoopResult()
        for number in range(_WARM_UP):
            await self._one(number, unseen)

    async def _one(self, number: int, result: LoopResult) -> None:
        call = self._call(number)
        client = self._clients[number % len(self._clients)]
        asked = time.monotonic()
        try:
            await call.make(client, number, self._deadline)
        except DragomanClientError as error:
            result.statuses[error.code.name] += 1
        else:
            result.statuses["OK"] += 1
            result.latencies[call.name].append(time.monotonic() - asked)

    def _call(self, number: int) -> MixedCall:
        return mixed_call(self._numbers[number % len(self._numbers)])


async def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Both loops, one after the other."""
    async with _server(given.address) as (address, server), _clients(address) as clients:
        load = Load(clients, given.only or (), given.deadline)
        await load.warm_up()
        closed, opened = LoopResult(), LoopResult()
        async with _watched(server, closed):
            await load.closed(given.callers, given.seconds, closed)
        rate = given.rate or _OPEN_SHARE * closed.statuses.total() / closed.seconds
        async with _watched(server, opened):
            await load.open(rate, given.seconds, opened, given.seed)
    return {
        "options": {
            "callers": given.callers, "rate": round(rate, 1), "deadline_seconds": given.deadline,
            "kinds": given.only or [kind.name for kind in MIXED_CALLS],
        },
        "closed_loop": closed.figures(),
        "open_loop": opened.figures(),
    }  # fmt: skip


@asynccontextmanager
async def _server(address: str | None) -> AsyncIterator[tuple[str, ServerProcess | None]]:
    if address is not None:
        yield address, None
        return
    with tempfile.TemporaryDirectory(prefix="dragoman-load-") as folder:
        server = ServerProcess(Path(folder), settings="log_level = 'warning'\n")
        async with running(server):
            yield server.address, server


@asynccontextmanager
async def _clients(address: str) -> AsyncIterator[list[AsyncClient]]:
    clients = [AsyncClient(address, retries=NEVER_AGAIN) for _ in range(_CONNECTIONS)]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


@asynccontextmanager
async def _watched(server: ServerProcess | None, result: LoopResult) -> AsyncIterator[None]:
    """Looks at the server's memory while a loop goes on; not at that of a server elsewhere."""

    async def look() -> None:
        while server is not None:
            result.memory_mb.append(await asyncio.to_thread(server.memory_megabytes))
            await asyncio.sleep(1.0)

    looking = asyncio.create_task(look()) if server is not None else None
    try:
        yield
    finally:
        if looking is not None:
            looking.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each loop")
    parser.add_argument("--callers", type=int, default=16, help="of the closed loop")
    parser.add_argument("--rate", type=float, help="calls a second of the open loop")
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the open loop")
    kinds = [kind.name for kind in MIXED_CALLS]
    parser.add_argument("--only", action="append", choices=kinds, help="may be given again")
    parser.add_argument("--address", help="of a server that runs; without it, one is started")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="for load.json and load.md")
    given = parser.parse_args()
    found = asyncio.run(measure(given))
    print_load(found)
    if given.results is not None:
        write_load(found, given.results)


if __name__ == "__main__":
    main()
