"""The reports as JSON and as a table in Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.chaos.fault_report import FaultReport

_INTRODUCTION = """# Faults

What became of a real server with the shipped models under each fault, as `make chaos-test` wrote it
({cores} cores, Python {python}; see [proof.md](../proof.md)). All of it took {minutes:.0f} minutes.
"""


def write_reports(
    reports: Sequence[FaultReport], folder: Path, *, scale: float, keep_others: bool
) -> None:
    """Writes `chaos.json` and `chaos.md`; what an earlier run found of other faults may stay."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "chaos.json"
    known = []
    if keep_others and file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))["faults"]
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    found = {fault["fault"]: fault for fault in known}
    found |= {one.fault: {**asdict(one), "scale": scale, "date": when} for one in reports}
    about = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    text = json.dumps({**about, "faults": list(found.values())}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    columns = ("fault", "scale, date, s", "tried", "survived and held", "lost")
    rows = [f"| {' | '.join(columns)} |", "|---|---|---|---|---|"]
    rows += [_row(fault) for fault in found.values()]
    minutes = sum(fault["seconds"] for fault in found.values()) / 60
    table = _INTRODUCTION.format(**about, minutes=minutes) + "\n" + "\n".join(rows) + "\n"
    (folder / "chaos.md").write_text(table, encoding="utf-8")


def _row(fault: Mapping[str, Any]) -> str:
    tried = [*fault["tried"], *(f"not tried: {one}" for one in fault["not_tried"])]
    cells = (
        fault["fault"],
        f"{fault['scale']:g}, {fault['date']}, {fault['seconds']:.0f}",
        "; ".join(tried),
        "; ".join([*fault["survived"], *fault["held"]]),
        "; ".join(fault["lost"]) or "nothing",
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
