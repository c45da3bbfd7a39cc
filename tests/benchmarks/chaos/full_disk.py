"""A disk that is full when models are loaded."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.server_process import ServerProcess, running

from dragoman_client import AsyncClient, DragomanClientError, ModelInfo, ModelState

_SIZE_MB, _BALLAST_MB = 300, 299
_ISOLATED = ("unshare", "--user", "--map-root-user", "--mount")
_MOUNT = (
    f'mount -t tmpfs -o size={_SIZE_MB}m tmpfs "$0" '
    f'&& head -c {_BALLAST_MB}M /dev/zero > "$0/ballast" && exec "$@"'
)


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
            prefix=(*_ISOLATED, "sh", "-c", _MOUNT, str(disk)),
        )  # fmt: skip
        async with running(server), AsyncClient(server.address) as client:
            await _refused(report, client)
            # The disk is seen by the server alone, and by who looks through its eyes.
            (Path(f"/proc/{server.process.pid}/root{disk}") / "ballast").unlink()
            await _loaded_after_all(report, client)
            report.expect("it ends cleanly", await server.end() == 0)
            report.expect("no traceback is logged", not server.tracebacks(), server.tracebacks())
    return report


async def _refused(report: FaultReport, client: AsyncClient) -> None:
    models = await client.list_models()
    failed = [one for one in models if one.state is ModelState.FAILED]
    report.tried.append(
        f"{len(models)} models, {_SIZE_MB - _BALLAST_MB} MB of room: {len(failed)} did not fit"
    )
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
        try:
            await client.load_model(one.name, timeout=300)
        except DragomanClientError as error:
            report.lost.append(f"{one.name} is not loaded once there is room: {error}")
            continue
        report.held.append(f"{one.name} is loaded once there is room")
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
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_ISOLATED, "true"], capture_output=True).returncode == 0
