"""Far more callers than can be answered within their deadlines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.traffic import Traffic
from tests.benchmarks.serving.serving_run import channel_to

_CALLERS = 400
_DEADLINE = 1.0
_MEMORY_MB = 300.0


async def overload(bench: Bench) -> FaultReport:
    """Closed loops without pauses: what is refused comes again at once."""
    report = FaultReport(fault="overload")
    server, callers = bench.server, bench.many(_CALLERS)
    before = server.memory_megabytes()
    traffic = Traffic(server.address, bench.references, deadline=_DEADLINE)
    waits: list[float] = []
    async with traffic.going_on(callers), channel_to(server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        began = time.monotonic()
        while time.monotonic() - began < 20.0 * bench.scale:
            asked = time.monotonic()
            await health.Check(health_pb2.HealthCheckRequest(), timeout=60)
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(0.1)
    growth = server.memory_megabytes() - before
    report.tried.append(f"{callers} callers without pause, {_DEADLINE:g} s each: {traffic.said()}")
    report.survived.append(f"health within {max(waits):.2f} s, memory {growth:+.0f} MB")
    allowed = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    report.expect(
        "calls are answered, refused or late, and nothing else",
        not traffic.unexpected(*allowed), traffic.unexpected(*allowed),
    )  # fmt: skip
    report.expect("some are answered all the time", traffic.outcomes["OK"] > 0)
    report.expect("answers are right", not traffic.lost, traffic.lost[:3])
    report.expect("health answers within 5 s", max(waits) < 5.0, f"{max(waits):.1f} s")
    report.expect("nothing is left at work", await server.idle())
    report.expect(f"memory grows less than {_MEMORY_MB:g} MB", growth < _MEMORY_MB, growth)
    return report
