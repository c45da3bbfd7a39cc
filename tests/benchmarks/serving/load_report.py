"""What the load test found, for the terminal and as files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LOOPS = {"closed_loop": "Closed loop", "open_loop": "Open loop"}


def print_load(found: Mapping[str, Any]) -> None:
    """The tables."""
    print("\n".join(_tables(found)))


def write_load(found: Mapping[str, Any], folder: Path) -> None:
    """Writes `load.json` and `load.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    cores = len(os.sched_getaffinity(0))
    about = {"command": "make load-test", "date": when, "cores_of_server_and_callers": cores}
    text = json.dumps({**about, **found}, indent=1)
    (folder / "load.json").write_text(text + "\n", encoding="utf-8")
    first = (
        "# Load\n\nMixed calls of all shipped models by Dragoman's own client, written by "
        f"`make load-test` on {when}. Server and callers share {cores} cores.\n"
    )
    (folder / "load.md").write_text(first + "\n".join(_tables(found)) + "\n", encoding="utf-8")


def _tables(found: Mapping[str, Any]) -> Iterator[str]:
    options = found["options"]
    detail = {
        "closed_loop": f"{options['callers']} callers, each with one call at a time",
        "open_loop": f"{options['rate']:g} calls a second at random moments",
    }
    for name, title in _LOOPS.items():
        loop = found[name]
        yield f"\n## {title}: {detail[name]}\n"
        statuses = ", ".join(f"{count:,} {code}" for code, count in loop["statuses"].items())
        yield (
            f"{loop['calls_per_second']:g} calls/s, goodput {loop['goodput_per_second']:g} calls/s "
            f"(deadline {options['deadline_seconds']:g} s); {statuses}."
        )
        if memory := loop["memory_mb"]:
            yield f"Server memory: {memory['first']} MB, at most {memory['most']} MB."
        yield "\n| call | answered | p50 ms | p90 ms | p99 ms | p99.9 ms | most ms |"
        yield "|---|---|---|---|---|---|---|"
        for kind, row in loop["latency_ms"].items():
            times = " | ".join(f"{row[key]:g}" for key in ("p50", "p90", "p99", "p99.9", "most"))
            yield f"| {kind} | {row['calls']:,} | {times} |"
