"""Offers a server five times what it can do, and counts what it makes of it.

    python -m tests.benchmarks.serving.overload [--seconds 120] [--times 5] [--deadline 2]
                                                [--json FILE]

First 64 callers measure the capacity: the most calls answered a second, of one sentence each or of
`--sentences`. Then calls arrive evenly at five times that rate for two minutes, each with a
deadline, and nobody retries.
Goodput is what is answered within its deadline. Accepted are calls that were not refused with
UNAVAILABLE. Health is asked for ten times a second.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.benchmarks.serving.serving_run import (
    SENTENCES,
    channel_to,
    quantile,
    rate_of,
    report,
    running_server,
)

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1 import translation_service_pb2_grpc

_SETTINGS = "worker_threads = 1\nlog_level = 'warning'\n"


class Load:
    """Calls of one sentence, and what became of them."""

    def __init__(self, channel: grpc.aio.Channel, deadline: float, sentences: int) -> None:
        self._stub: Any = translation_service_pb2_grpc.TranslationServiceStub(channel)
        self._deadline = deadline
        self._requests = []
        for start in range(len(SENTENCES)):
            texts = (SENTENCES[start:] + SENTENCES[:start])[:sentences]
            request = pb.TranslateRequest(sources=[pb.TranslationSource(text=t) for t in texts])
            request.model.name = "fr-en"
            self._requests.append(request)
        self.outcomes: Counter[str] = Counter()
        self.accepted: list[float] = []  # seconds
        self.refused: list[float] = []
        self.without_pushback: Counter[str] = Counter()  # by what gRPC says of it

    async def plain(self, number: int) -> None:
        """One call without a deadline; raises what goes wrong."""
        await self._stub.Translate(self._requests[number % len(self._requests)])

    async def counted(self, number: int) -> None:
        """One call with a deadline."""
        asked = time.monotonic()
        request = self._requests[number % len(self._requests)]
        try:
            await self._stub.Translate(request, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self.refused.append(time.monotonic() - asked)
                trailing = dict(error.trailing_metadata() or ())
                if "grpc-retry-pushback-ms" not in trailing:
                    self.without_pushback[str(error.details())] += 1
            else:
                self.accepted.append(time.monotonic() - asked)
        else:
            code = "OK"
            self.accepted.append(time.monotonic() - asked)
        self.outcomes[code] += 1


async def offer(load: Load, rate: float, seconds: float) -> float:
    """Calls at that rate, whatever becomes of them; the rate that was really offered."""
    began = time.monotonic()
    pending: set[asyncio.Task[None]] = set()
    number = 0
    while (passed := time.monotonic() - began) < seconds:
        while number < passed * rate:
            task = asyncio.create_task(load.counted(number))
            pending.add(task)
            task.add_done_callback(pending.discard)
            number += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*pending)
    return number / seconds


async def watch(channel: grpc.aio.Channel, pid: int, waits: list[float], sizes: list[int]) -> None:
    """Seconds that health takes, and the resident megabytes of the server, until cancelled."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    while True:
        asked = time.monotonic()
        await stub.Check(health_pb2.HealthCheckRequest())
        waits.append(time.monotonic() - asked)
        sizes.append(_resident_megabytes(pid))
        await asyncio.sleep(0.1)


def cpu_seconds(pid: int) -> tuple[float, float]:
    """What a server's own process has computed so far, and what its worker processes have."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    workers = {
        child
        for task in children.parent.parent.iterdir()
        for child in (task / "children").read_text().split()
    }
    return _cpu_seconds(str(pid)), sum(_cpu_seconds(child) for child in workers)


def _cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


async def measure(address: str, pid: int, given: argparse.Namespace) -> dict[str, Any]:
    waits: list[float] = []
    sizes: list[int] = []
    async with channel_to(address) as channel, channel_to(address) as probe:
        load = Load(channel, given.deadline, given.sentences)
        capacity, _ = await rate_of(load.plain, callers=64, seconds=given.capacity_seconds)
        watching = asyncio.create_task(watch(probe, pid, waits, sizes))
        before, began = cpu_seconds(pid), time.monotonic()
        offered = await offer(load, given.times * capacity, given.seconds)
        passed = time.monotonic() - began
        used = [round((b - a) / passed, 3) for a, b in zip(before, cpu_seconds(pid), strict=True)]
        watching.cancel()
    good = load.outcomes["OK"] / given.seconds
    early, late = len(sizes) // 4, len(sizes) // 4
    return {
        "capacity": capacity, "offered": offered, "goodput": good, "share": good / capacity,
        "outcomes": dict(load.outcomes), "accepted_p50_s": quantile(load.accepted, 0.5),
        "accepted_p99_s": quantile(load.accepted, 0.99), "deadline_s": given.deadline,
        "refusal_p50_ms": 1_000 * quantile(load.refused, 0.5),
        "without_pushback": dict(load.without_pushback.most_common(5)),
        "front_end_cores": used[0], "worker_cores": used[1],
        "health_p50_ms": 1_000 * quantile(waits, 0.5),
        "health_p99_ms": 1_000 * quantile(waits, 0.99), "health_worst_ms": 1_000 * max(waits),
        "memory_mb_first_quarter": max(sizes[: early or 1]),
        "memory_mb_last_quarter": max(sizes[-late or -1 :]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--capacity-seconds", type=float, default=20.0)
    parser.add_argument("--times", type=float, default=5.0, help="the capacity")
    parser.add_argument("--sentences", type=int, default=1, help="of one call")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with running_server(_SETTINGS, [cores[-1]]) as (address, pid):
        os.sched_setaffinity(0, cores[:-1] or cores)
        found = asyncio.run(measure(address, pid, given))
    growth = found["memory_mb_last_quarter"] - found["memory_mb_first_quarter"]
    report(
        [
            ("capacity, calls/s", f"{found['capacity']:.1f}", ""),
            ("offered, calls/s", f"{found['offered']:.1f}", f"{given.times:g} times"),
            ("goodput, calls/s", f"{found['goodput']:.1f}", ""),
            ("goodput of capacity", f"{found['share']:.1%}", "goal: 90 % or more"),
            ("accepted, p99, s", f"{found['accepted_p99_s']:.2f}", f"goal: {given.deadline:g}"),
            ("refused, median, ms", f"{found['refusal_p50_ms']:.1f}", ""),
            ("refused without pushback", f"{sum(found['without_pushback'].values())}", "goal: 0"),
            ("health, p99, ms", f"{found['health_p99_ms']:.1f}", "at once"),
            ("cores of the front end", f"{found['front_end_cores']:.2f}", ""),
            ("cores of the workers", f"{found['worker_cores']:.2f}", "of 1 for both"),
            ("memory growth, MB", f"{growth}", "flat"),
        ],
        found,
        given.json,
    )


if __name__ == "__main__":
    main()
