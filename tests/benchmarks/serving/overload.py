"""Offers a server five times what it can do, and counts what it makes of it.

    python -m tests.benchmarks.serving.overload [--seconds 120] [--times 5] [--deadline 2]
                                                [--sentences 1] [--one-core] [--json FILE]

First 64 callers measure the capacity: the most calls answered a second, of one sentence each or of
`--sentences`. Then calls arrive evenly at five times that rate for two minutes, each with a
deadline, and nobody retries. Goodput is what is answered within its deadline. Accepted are calls
that were not refused with UNAVAILABLE. Health is asked for ten times a second.

The model has the last core; the front end and the callers share the first (or, with `--one-core`,
front end and model the last). What each of them computes is reported. The callers write HTTP/2
themselves (`lean_client`), so that the server has most of that core.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.benchmarks.serving.lean_client import LeanClient, lean_client
from tests.benchmarks.serving.measure_front_end import translations
from tests.benchmarks.serving.serving_run import (
    channel_to,
    quantile,
    rate_of,
    report,
    running_server,
)

_SETTINGS = """
worker_threads = 1
log_level = "warning"
[workers]
translation = 1
language_model = 1
"""
_METHOD = "/dragoman.v1.TranslationService/Translate"
_CONNECTIONS = 4  # gRPC's server takes 1,000 calls at the same time of each


class Load:
    """Calls of some sentences, and what became of them."""

    def __init__(self, client: LeanClient, sentences: int) -> None:
        self._client = client
        self._requests = [call.SerializeToString() for call in translations(sentences)]
        self.outcomes: Counter[str] = Counter()
        self.accepted: list[float] = []  # seconds
        self.refused: list[float] = []
        self.without_pushback = 0

    async def plain(self, number: int) -> None:
        """One call that must be answered."""
        answer = await self._client.call(self._requests[number % len(self._requests)])
        if answer.code is not grpc.StatusCode.OK:
            raise RuntimeError(f"a call failed below the capacity: {answer.code.name}")

    async def counted(self, number: int) -> None:
        """One call, whatever becomes of it."""
        asked = time.monotonic()
        answer = await self._client.call(self._requests[number % len(self._requests)])
        passed = time.monotonic() - asked
        self.outcomes[answer.code.name] += 1
        if answer.code is grpc.StatusCode.UNAVAILABLE:
            self.refused.append(passed)
            self.without_pushback += not answer.has_pushback
        else:
            self.accepted.append(passed)


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
        await asyncio.sleep(0.004)
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


def place(pid: int, front_end: int, models: int) -> None:
    """Let the server's own process run on one core, and its worker processes on another."""
    for thread in _threads(pid):
        os.sched_setaffinity(thread, {front_end})
    for worker in _children(pid):
        for thread in _threads(worker):
            os.sched_setaffinity(thread, {models})


def cpu_seconds(pid: int) -> tuple[float, float, float]:
    """What a server's own process has computed so far, its worker processes, and this process."""
    workers = sum(_cpu_seconds(worker) for worker in _children(pid))
    return _cpu_seconds(pid), workers, time.process_time()


def _threads(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]


def _children(pid: int) -> list[int]:
    files = [Path(f"/proc/{pid}/task/{thread}/children") for thread in _threads(pid)]
    return [int(child) for file in files for child in file.read_text().split()]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


async def measure(address: str, pid: int, given: argparse.Namespace) -> dict[str, Any]:
    waits: list[float] = []
    sizes: list[int] = []
    client_of = partial(lean_client, address, _METHOD, connections=_CONNECTIONS)
    async with channel_to(address) as probe:
        async with client_of(deadline=60.0) as patient:
            capacity, _ = await rate_of(
                Load(patient, given.sentences).plain, callers=64, seconds=given.capacity_seconds
            )
        async with client_of(deadline=given.deadline) as client:
            load = Load(client, given.sentences)
            watching = asyncio.create_task(watch(probe, pid, waits, sizes))
            before, began = cpu_seconds(pid), time.monotonic()
            offered = await offer(load, given.times * capacity, given.seconds)
            passed = time.monotonic() - began
            spent = [b - a for a, b in zip(before, cpu_seconds(pid), strict=True)]
            used = [round(seconds / passed, 3) for seconds in spent]
            watching.cancel()
    good = load.outcomes["OK"] / passed  # with the time in which the last ones were answered
    quarter = len(sizes) // 4 or 1
    return {
        "capacity": capacity, "offered": offered, "goodput": good, "share": good / capacity,
        "outcomes": dict(load.outcomes), "accepted_p50_s": quantile(load.accepted, 0.5),
        "accepted_p99_s": quantile(load.accepted, 0.99), "deadline_s": given.deadline,
        "refusal_p50_ms": 1_000 * quantile(load.refused, 0.5),
        "refusal_p99_ms": 1_000 * quantile(load.refused, 0.99),
        "without_pushback": load.without_pushback,
        "front_end_cores": used[0], "worker_cores": used[1], "client_cores": used[2],
        "health_p50_ms": 1_000 * quantile(waits, 0.5),
        "health_p99_ms": 1_000 * quantile(waits, 0.99), "health_worst_ms": 1_000 * max(waits),
        "memory_mb_first_quarter": max(sizes[:quarter]),
        "memory_mb_last_quarter": max(sizes[-quarter:]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--capacity-seconds", type=float, default=20.0)
    parser.add_argument("--times", type=float, default=5.0, help="the capacity")
    parser.add_argument("--sentences", type=int, default=1, help="of one call")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one-core", action="store_true", help="for the whole server")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with running_server(_SETTINGS, cores) as (address, pid):
        place(pid, front_end=cores[-1] if given.one_core else cores[0], models=cores[-1])
        os.sched_setaffinity(0, {cores[0]})
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
            ("refused without pushback", f"{found['without_pushback']}", "goal: 0"),
            ("health, p99, ms", f"{found['health_p99_ms']:.1f}", "at once"),
            ("cores of the front end", f"{found['front_end_cores']:.2f}", ""),
            ("cores of the callers", f"{found['client_cores']:.2f}", "on the front end's core"),
            ("cores of the model", f"{found['worker_cores']:.2f}", "of one"),
            ("memory growth, MB", f"{growth}", "flat"),
        ],
        found,
        given.json,
    )


if __name__ == "__main__":
    main()
