"""A disk that is full when models are loaded."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.server_process import ServerProcess, running

from dragoman_client import AsyncClient, DragomanClientError, ModelInfo, ModelState

_SMALL = "1m"
_LARGE = "2g"
_ISOLATED = ("unshare", "--user", "--map-root-user", "--mount")
_MOUNT = 'mount -t tmpfs -o size=$0 tmpfs "$1" && shift && exec "$@"'


async def full_disk(bench: Bench) -> FaultReport:
    """The folder for temporary files is a file system of its own with no room, in a namespace where
    nobody else sees it; later it gets room, and what was refused is loaded."""
    report = FaultReport(fault="disk full while loading")
    if not _can_isolate():
        report.not_tried.append("a full disk: this system allows no user and mount namespaces")
        return report
    with tempfile.TemporaryDirectory(prefix="dragoman-chaos-") as name:
        disk = Path(name) / "disk"
        disk.mkdir()
        server = ServerProcess(
            Path(name) / "server", environment={"TMPDIR": str(disk)},
            prefix=(*_ISOLATED, "sh", "-c", _MOUNT, _SMALL, str(disk)),
        )  # fmt: skip
        async with running(server), AsyncClient(server.address) as client:
            await _refused(report, client)
            given = await asyncio.to_thread(_give_room, server.process.pid, disk)
            report.expect("the disk gets room", not given, given)
            await _loaded_after_all(report, client)
            report.expect("it ends cleanly", await server.end() == 0)
            report.expect(
                "no traceback is logged", server.tracebacks() == 0, server.log.read_text()
            )
    return report


async def _refused(report: FaultReport, client: AsyncClient) -> None:
    models = await client.list_models()
    failed = [one for one in models if one.state is ModelState.FAILED]
    report.tried.append(f"{len(models)} models, {_SMALL} of room: {len(failed)} did not fit")
    report.expect("some do not fit", bool(failed))
    reasons = {one.failure_reason for one in failed}
    said = all("No space left" in one for one in reasons)
    report.expect("each says that there is no space left, and where", said, reasons)
    ready = [one for one in models if one.state is ModelState.READY]
    report.survived.append(f"{len(ready)} models answered all the while")
    answers = [await _answers(client, one) for one in ready]
    report.expect("what fitted answers", all(answers), answers)


async def _loaded_after_all(report: FaultReport, client: AsyncClient) -> None:
    failed = [one for one in await client.list_models() if one.state is ModelState.FAILED]
    for one in failed:
        loaded = await client.load_model(one.name, timeout=300)
        ready = loaded.state is ModelState.READY
        report.expect(f"{one.name} is loaded once there is room", ready, loaded.failure_reason)
        report.expect(f"{one.name} answers then", await _answers(client, one))


async def _answers(client: AsyncClient, model: ModelInfo) -> bool:
    try:
        if model.family == "translation":
            await client.translate("Bonjour.", model=model.name, timeout=120)
        elif model.family == "language_model":
            await client.score_texts("The rain.", model=model.name, timeout=120)
        else:
            await client.get_model(model.name, timeout=120)
    except DragomanClientError:
        return False
    return True


def _can_isolate() -> bool:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    return subprocess.run([*_ISOLATED, "true"], capture_output=True).returncode == 0


def _give_room(pid: int, disk: Path) -> str:
    """What went wrong with it, or nothing."""
    command = ["nsenter", "--target", str(pid), "--user", "--preserve-credentials", "--mount"]
    command += ["mount", "-o", f"remount,size={_LARGE}", "tmpfs", str(disk)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr if done.returncode else ""
