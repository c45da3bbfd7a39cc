"""A wall clock that jumps, as when a machine wakes up or its time is corrected."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.chaos.bad_bundles import NAME, settled_version
from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.chaos.traffic import Traffic, all_is_well

from dragoman_client import AsyncClient, ModelState
from dragoman_server.repository_scan import shipped_repository

_DAY = 86_400
_JUMPS = (3_600, -7_200, 30 * _DAY, -60 * _DAY, 10 * 365 * _DAY, 0)  # seconds from the true time
# Python imports a module of this name at its start, wherever it finds one.
_CUSTOMIZE = """
import os, time

_file = os.environ["CHAOS_CLOCK"]
_time, _time_ns = time.time, time.time_ns

def _offset():
    try:
        with open(_file) as clock:
            return int(clock.read() or 0)
    except (OSError, ValueError):
        return 0

time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 10**9
"""


async def clock_jumps(bench: Bench) -> FaultReport:
    """The clock of the server's Python, and that of its workers, jumps while it answers."""
    report = FaultReport(fault="clock jumps")
    with tempfile.TemporaryDirectory(prefix="dragoman-chaos-") as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(_CUSTOMIZE, encoding="utf-8")
        clock, models = folder / "clock", folder / "models"
        models.mkdir()
        _set(clock, 0)
        server = ServerProcess(
            folder / "server", settings=f'model_repositories = ["{models}"]\n',
            environment={
                "CHAOS_CLOCK": str(clock),
                "PYTHONPATH": os.pathsep.join([name, os.environ.get("PYTHONPATH", "")]),
            },
        )  # fmt: skip
        async with running(server), AsyncClient(server.address) as client:
            traffic = Traffic(server.address, bench.references)
            async with traffic.going_on(4):
                for seconds in _JUMPS:
                    _set(clock, seconds)
                    await asyncio.sleep(max(1.0, 4.0 * bench.scale))
                _set(clock, -365 * _DAY)
                shutil.copytree(shipped_repository() / "fr-en" / "1", models / NAME / "1")
                state, reason = await settled_version(client, 1)
            wrong = await all_is_well(server.address, bench.references)
            tracebacks = server.tracebacks()
            code = await server.end()
    report.tried.append(
        f"{len(_JUMPS)} jumps, back and forth, of up to ten years; {traffic.said()}"
    )
    report.survived.append("calls went on through all of them")
    report.not_tried.append(
        "gRPC's own clock, which is the system's: only that of Python was moved"
    )
    report.expect("no call fails", not traffic.unexpected(), traffic.unexpected())
    report.expect("answers are right", not traffic.lost and not wrong, (traffic.lost, wrong))
    report.expect("new models are still seen and loaded", state is ModelState.READY, reason)
    report.expect("it ends cleanly", code == 0 and tracebacks == 0, (code, tracebacks))
    return report


def _set(clock: Path, seconds: int) -> None:
    made = clock.with_suffix(".made")
    made.write_text(str(seconds), encoding="utf-8")
    made.rename(clock)
