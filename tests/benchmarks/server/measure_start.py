"""Measures how long the server takes to start with the shipped models, and the memory it holds.

    python tests/benchmarks/server/measure_start.py [--rounds 5]

Prints the median of the rounds: seconds from the start of the process until the port is open and
until every model is warm, and the resident memory of the server with its child processes then
(pages that several of them share count once: proportional set size).
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_COMMAND = [sys.executable, "-m", "dragoman_server", "--address", "127.0.0.1:0"]


def measure_once() -> tuple[float, float, float]:
    """Seconds until the port is open, seconds until warm, megabytes."""
    began = time.monotonic()
    with subprocess.Popen(
        _COMMAND, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            output = server.stdout
            if output is None:
                raise RuntimeError("the server has no standard output")
            opened = _seconds_until(output, "Dragoman is listening", began)
            warm = _seconds_until(output, "ready:", began)
            memory = sum(_proportional_bytes(pid) for pid in _family(server.pid))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    return opened, warm, memory / 1e6


def _seconds_until(lines: Iterator[str], start: str, began: float) -> float:
    for line in lines:
        if line.startswith(start):
            return time.monotonic() - began
    raise RuntimeError(f"the server ended before it said {start!r}")


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} states no proportional set size")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = [measure_once() for _ in range(parser.parse_args().rounds)]
    names = ("port open, s", "all models warm, s", "memory, MB")
    for name, values in zip(names, zip(*rounds, strict=True), strict=True):
        low, high = min(values), max(values)
        print(f"{name}: median {statistics.median(values):.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
