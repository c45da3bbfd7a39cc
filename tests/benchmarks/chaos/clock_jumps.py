"""A wall clock that jumps, as when a machine wakes up or its time is corrected."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.chaos.bad_bundles import NAME, settled_version
from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.moved_clock import MovedClock
from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.chaos.traffic import Traffic, all_is_well

from dragoman_client import AsyncClient, ModelState
from dragoman_server.repository_scan import shipped_repository

_DAY = 86_400
_JUMPS = (3_600, -7_200, 30 * _DAY, -60 * _DAY, 10 * 365 * _DAY, 0)  # seconds from the true time


async def clock_jumps(bench: Bench) -> FaultReport:
    """The clock of the server and its workers jumps while they answer."""
    report = FaultReport(fault="clock jumps")
    with tempfile.TemporaryDirectory(prefix="dragoman-chaos-") as name:
        folder, models = Path(name), Path(name) / "models"
        models.mkdir()
        try:
            clock = MovedClock(folder)
        except RuntimeError as error:
            report.not_tried.append(f"moving the clock: {error}")
            return report
        server = ServerProcess(
            folder / "server", settings=f'model_repositories = ["{models}"]\n',
            environment=clock.environment,
        )  # fmt: skip
        async with running(server), AsyncClient(server.address) as client:
            traffic = Traffic(server.address, bench.references)
            async with traffic.going_on(4):
                for seconds in _JUMPS:
                    clock.move(seconds)
                    await traffic.until_answered(bench.many(40), seconds=120)
                clock.move(-365 * _DAY)
                shutil.copytree(shipped_repository() / "fr-en" / "1", models / NAME / "1")
                state, reason = await settled_version(client, 1)
            wrong = await all_is_well(server.address, bench.references)
            stamps = server.log.read_text(encoding="utf-8")
            tracebacks = server.tracebacks()
            code = await server.end()
    report.tried.append(
        f"{len(_JUMPS)} jumps, back and forth, of up to ten years; {traffic.said()}"
    )
    report.survived.append("calls went on through all of them")
    report.expect("the server saw other times", _years(stamps) > 1)
    report.expect("no call fails", not traffic.unexpected(), traffic.unexpected())
    report.expect("answers are right", not traffic.lost and not wrong, (traffic.lost, wrong))
    report.expect("new models are still seen and loaded", state is ModelState.READY, reason)
    report.expect("it ends cleanly", code == 0 and not tracebacks, (code, tracebacks))
    return report


def _years(log: str) -> int:
    """How many different years its lines begin with."""
    return len({line[:4] for line in log.splitlines() if line[:4].isdigit()})
