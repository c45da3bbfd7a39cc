"""Worker processes that are killed while they work."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.traffic import Traffic

_KILLS = 6
_PATIENCE = 240.0


async def killed_workers(bench: Bench) -> FaultReport:
    """SIGKILL for all worker processes at once, again and again, as soon as they are back."""
    report = FaultReport(fault="killed worker processes")
    server, kills = bench.server, bench.many(_KILLS)
    count = len(server.workers())
    traffic = Traffic(server.address, bench.references)
    outages = []
    async with traffic.going_on(8):
        for _ in range(kills):
            await traffic.until_answered(20)
            killed = server.workers()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            while time.monotonic() - began < _PATIENCE:
                if len(set(server.workers()) - set(killed)) >= count:
                    break
                await asyncio.sleep(0.1)
            outages.append(time.monotonic() - began)
        await traffic.until_answered(20)
    report.tried.append(f"{kills} times SIGKILL for all {count} of them; {traffic.said()}")
    report.survived.append(f"new processes within {max(outages):.1f} s")
    report.expect("there are as many as before", len(server.workers()) == count, server.workers())
    report.expect(
        "calls in flight are answered by another process or UNAVAILABLE, and none hangs",
        not traffic.unexpected("UNAVAILABLE"), traffic.unexpected("UNAVAILABLE"),
    )  # fmt: skip
    report.expect("answers are right", not traffic.lost, traffic.lost[:3])
    report.expect("nothing is left at work", await server.idle())
    return report
