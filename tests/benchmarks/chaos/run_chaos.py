"""Starts a real server, makes everything go wrong that can, and says what was lost.

    python -m tests.benchmarks.chaos.run_chaos [--scale 1] [--only NAME]... [--results FOLDER]

Each fault is tried on a server with the shipped models and worker processes, on a port of its own,
while mixed calls of all models go on. Exits with 1 where anything was lost. `--scale 0.1` is a
short form of everything.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.benchmarks.chaos.bad_bundles import bad_bundles
from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.clock_jumps import clock_jumps
from tests.benchmarks.chaos.connections import (
    dropped_connections,
    reset_floods,
    rude_connections,
)
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.full_disk import full_disk
from tests.benchmarks.chaos.killed_clients import killed_clients
from tests.benchmarks.chaos.killed_server import killed_server
from tests.benchmarks.chaos.killed_workers import killed_workers
from tests.benchmarks.chaos.overload import overload
from tests.benchmarks.chaos.report_files import write_reports
from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.chaos.slow_readers import slow_readers
from tests.benchmarks.chaos.terminated import terminated
from tests.benchmarks.chaos.traffic import References, all_is_well

Fault = Callable[[Bench], Awaitable[FaultReport]]

FAULTS: dict[str, Fault] = {
    "overload": overload,
    "slow-readers": slow_readers,
    "killed-workers": killed_workers,
    "killed-clients": killed_clients,
    "bad-bundles": bad_bundles,
    "dropped-connections": dropped_connections,
    "rude-connections": rude_connections,
    "reset-floods": reset_floods,
    "full-disk": full_disk,
    "terminated": terminated,
    "killed-server": killed_server,
    "clock-jumps": clock_jumps,
}


async def run(names: list[str], scale: float) -> list[FaultReport]:
    """Tries those faults, one after the other."""
    reports = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dragoman-chaos-")))
        repository = folder / "models"
        repository.mkdir()
        settings = f'model_repositories = ["{repository}"]\n[models]\nwatch_seconds = 0.5\n'
        server = ServerProcess(folder / "server", settings=settings)
        await stack.enter_async_context(running(server))
        references = References()
        await references.learn(server.address)
        bench = Bench(server=server, repository=repository, references=references, scale=scale)
        for name in names:
            report = await _tried(name, bench)
            reports.append(report)
            print("\n".join(report.lines()), flush=True)
            if not server.is_alive:
                break
        reports.append(await _ended(server))
        print("\n".join(reports[-1].lines()), flush=True)
    return reports


async def _tried(name: str, bench: Bench) -> FaultReport:
    """One fault, and whether the server is what it was before."""
    began, tracebacks = time.monotonic(), len(bench.server.tracebacks())
    try:
        report = await FAULTS[name](bench)
    except Exception as error:
        traceback.print_exc()
        report = FaultReport(fault=name, lost=[f"the fault could not be tried: {error!r}"])
    report.expect("the server lives", bench.server.is_alive)
    if bench.server.is_alive:
        wrong = await all_is_well(bench.server.address, bench.references)
        report.expect("and answers all as before", not wrong, wrong)
    found = bench.server.tracebacks()[tracebacks:]
    report.expect("it logged no traceback", not found, found)
    report.seconds = time.monotonic() - began
    return report


async def _ended(server: ServerProcess) -> FaultReport:
    report = FaultReport(fault="the end of it all")
    report.tried.append("SIGTERM for the server that all this was done to")
    if server.is_alive:
        report.survived.append(f"memory {server.memory_megabytes():.0f} MB at the end")
        code = await server.end()
        report.expect("it ends with 0", code == 0, code)
    else:
        report.lost.append(f"it had ended with {server.process.returncode}")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how long and large all is")
    parser.add_argument(
        "--only", action="append", choices=FAULTS, help="this fault; may be given again"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="for chaos.json and chaos.md"
    )
    given = parser.parse_args()
    reports = asyncio.run(run(given.only or list(FAULTS), given.scale))
    if given.results is not None:
        keep_others = given.only is not None
        write_reports(reports, given.results, scale=given.scale, keep_others=keep_others)
    lost = sum(len(report.lost) for report in reports)
    print(f"\n{len(reports)} faults tried; lost: {lost or 'nothing'}")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
