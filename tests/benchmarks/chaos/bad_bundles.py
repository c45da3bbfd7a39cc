"""Bundles that are damaged or are none, put where the server looks for new versions."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.traffic import Traffic

from dragoman_client import AsyncClient, DragomanClientError, ModelState, ModelVersion
from dragoman_server.repository_scan import shipped_repository

NAME = "chaos-fr-en"
_PATIENCE = 120.0


def _cut(folder: Path) -> None:
    with (folder / "weights.safetensors").open("r+b") as weights:
        weights.truncate(100_000)


def _flipped(folder: Path) -> None:
    with (folder / "weights.safetensors").open("r+b") as weights:
        weights.seek(200_000)
        byte = weights.read(1)[0]
        weights.seek(200_000)
        weights.write(bytes([byte ^ 1]))


def _foreign(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(bytes(1_000))
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")


def _other_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["family"] = "telepathy"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "SHA256SUMS").unlink()


def _leading_out(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    (folder / "CARD.md").symlink_to("/etc/hostname")


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(b"")


DAMAGES: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("cut short", _cut), ("one bit flipped", _flipped), ("foreign", _foreign),
    ("of no family", _other_family), ("a link that leads out", _leading_out), ("empty", _empty),
)  # fmt: skip


async def bad_bundles(bench: Bench) -> FaultReport:
    """A sound version, then each kind of damage as the next version, then a sound one again."""
    report = FaultReport(fault="bad bundles while serving")
    sound = shipped_repository() / "fr-en" / "1"
    traffic = Traffic(bench.server.address, bench.references)
    folder = bench.repository / NAME
    async with traffic.going_on(4), AsyncClient(bench.server.address) as client:
        _put(sound, folder, 1, None)
        first = await settled_version(client, 1)
        report.expect("a sound version is loaded", first[0] is ModelState.READY, first)
        for number, (name, damage) in enumerate(DAMAGES, start=2):
            _put(sound, folder, number, damage)
            state, reason = await settled_version(client, number)
            refused = state is ModelState.FAILED and bool(reason)
            report.expect(f"{name}: refused with its reason", refused, (state, reason))
            failure = await _failure(client)
            report.expect(f"{name}: the old one answers", not failure, failure)
        last = len(DAMAGES) + 2
        _put(sound, folder, last, None)
        state, reason = await settled_version(client, last)
        report.expect("the next sound version is loaded", state is ModelState.READY, reason)
    shutil.rmtree(folder)
    report.tried.append(f"{len(DAMAGES)} kinds of damage, beside {traffic.said()}")
    report.survived.append("every damaged version was refused beside the sound one")
    report.expect("no other call fails", not traffic.unexpected(), traffic.unexpected())
    report.expect("answers are right", not traffic.lost, traffic.lost[:3])
    return report


def _put(sound: Path, folder: Path, number: int, damage: Callable[[Path], None] | None) -> None:
    """The version appears at once, as after `mv`."""
    made = folder.parent / ".made"
    shutil.copytree(sound, made)
    if damage is not None:
        damage(made)
    folder.mkdir(exist_ok=True)
    made.rename(folder / str(number))


async def settled_version(client: AsyncClient, number: int) -> tuple[ModelState | None, str]:
    """What became of a version, and why."""
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE:
        for one in await client.list_models():
            if one.name == NAME and one.version == number and one.state in _SETTLED:
                return one.state, one.failure_reason
        await asyncio.sleep(0.3)
    return None, "it was not looked at"


_SETTLED = (ModelState.READY, ModelState.FAILED)


async def _failure(client: AsyncClient) -> str:
    """What is wrong with a call that names no version, or nothing."""
    try:
        await client.translate("Bonjour.", model=ModelVersion(name=NAME), timeout=60)
    except DragomanClientError as error:
        return f"{error.code.name} {error}"
    return ""
