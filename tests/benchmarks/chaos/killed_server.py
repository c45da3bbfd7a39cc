"""SIGKILL, and a new server on the same port."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.chaos.traffic import Traffic, all_is_well

from dragoman_client import Retries

_PATIENT = Retries(attempts=5, initial_backoff=2.0, max_backoff=30.0, multiplier=3.0)


async def killed_server(bench: Bench) -> FaultReport:
    """Clients that retry find the new server; nothing of the old one is left."""
    report = FaultReport(fault="SIGKILL and restart on the same port")
    with tempfile.TemporaryDirectory(prefix="dragoman-chaos-") as name:
        first = ServerProcess(Path(name) / "first")
        async with running(first):
            workers = first.workers()
            traffic = Traffic(first.address, bench.references, deadline=240.0, retries=_PATIENT)
            async with traffic.going_on(8):
                await asyncio.sleep(max(2.0, 5.0 * bench.scale))
                before = traffic.ended
                await first.end(signal.SIGKILL)
                began = time.monotonic()
                second = ServerProcess(Path(name) / "second", port=first.port)
                async with running(second):
                    outage = time.monotonic() - began
                    await traffic.until_answered(50)
                    left = await _still_there(workers)
                    wrong = await all_is_well(second.address, bench.references)
                    await traffic.finish()
                    report.expect("the new one ends cleanly", await second.end() == 0)
    report.tried.append(f"SIGKILL after {before:,} calls; in all {traffic.said()}")
    report.survived.append(f"the new server was ready after {outage:.1f} s")
    allowed = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    report.expect(
        "calls are answered by the new one or UNAVAILABLE, and none hangs",
        not traffic.unexpected(*allowed), traffic.unexpected(*allowed),
    )  # fmt: skip
    report.expect("answers are right", not traffic.lost and not wrong, (traffic.lost, wrong))
    report.expect("worker processes end with their server", not left, left)
    return report


async def _still_there(pids: list[int]) -> list[int]:
    """Those that live on after a while."""
    began = time.monotonic()
    while left := [pid for pid in pids if _lives(pid)]:
        if time.monotonic() - began > 60:
            break
        await asyncio.sleep(0.2)
    return left


def _lives(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False
