"""The reports as JSON and as a table in Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.chaos.fault_report import FaultReport

_INTRODUCTION = """# Faults

What became of a real server with the shipped models under each fault. Written by `{command}`
on {when} ({cores} cores, Python {python}).
"""


def write_reports(reports: Sequence[FaultReport], folder: Path, command: str) -> None:
    """Writes `chaos.json` and `chaos.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    cores = len(os.sched_getaffinity(0))
    about = {"command": command, "date": when, "cores": cores, "python": platform.python_version()}
    found = {**about, "faults": [asdict(report) for report in reports]}
    (folder / "chaos.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    introduction = _INTRODUCTION.format(
        command=command, when=when, cores=cores, python=platform.python_version()
    )
    rows = ["| fault | tried | survived and held | lost |", "|---|---|---|---|"]
    rows += [_row(report) for report in reports]
    (folder / "chaos.md").write_text(introduction + "\n" + "\n".join(rows) + "\n", encoding="utf-8")


def _row(report: FaultReport) -> str:
    tried = [*report.tried, *(f"not tried: {one}" for one in report.not_tried)]
    cells = (
        report.fault,
        "; ".join(tried),
        "; ".join([*report.survived, *report.held]),
        "; ".join(report.lost) or "nothing",
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
