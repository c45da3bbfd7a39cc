"""Sends a real server requests of all kinds, sound and absurd, to every method that there is.

    python -m tests.benchmarks.fuzz.run_fuzz [--seconds 600] [--seed 0] [--results FOLDER]

The server has the shipped models and worker processes. No request may end in INTERNAL or UNKNOWN,
hang, end the server or one of its workers, or leave memory or descriptors behind. Exits with 1
where one does; a call that did is printed in hexadecimal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.benchmarks.chaos.server_process import ServerProcess, running
from tests.benchmarks.fuzz.fuzzed_calls import (
    DEFECTS,
    FuzzedCall,
    all_methods,
    fuzzed_calls,
    status_of,
)

_MODELS = ("fr-en", "en-de", "glove-100d", "word2vec-books", "english-lstm")
_DEADLINE = 3.0
_HANGING = 30.0
_ROUND = 300  # calls
_SETTLED_ROUNDS = 3  # until memory has its size
_MEMORY_MB = 200.0


class Fuzz:
    """What came of all calls."""

    def __init__(self, server: ServerProcess, first_seed: int) -> None:
        self.statuses: dict[str, Counter[str]] = defaultdict(Counter)
        self.lost: list[str] = []
        self.memory: list[float] = []
        self._server = server
        self._seed = first_seed

    def round(self) -> None:
        """Some hundred calls, each one after the other."""
        self._seed += 1
        with grpc.insecure_channel(self._server.address, [("grpc.enable_retries", 0)]) as channel:
            run = _examples(lambda call: self._one(channel, call))
            seed(self._seed)(run)()
        self.memory.append(self._server.memory_megabytes())

    def _one(self, channel: grpc.Channel, call: FuzzedCall) -> None:
        began = time.monotonic()
        code, said = status_of(channel, call, _DEADLINE)
        took = time.monotonic() - began
        self.statuses[call.method.path][code] += 1
        if code in DEFECTS or took > _DEADLINE + _HANGING:
            self.lost.append(f"{code} after {took:.1f} s ({said}): {call!r}"[:2_000])


def _examples(one: Callable[[FuzzedCall], None]) -> Any:
    @settings(
        max_examples=_ROUND, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(fuzzed_calls(all_methods(), _MODELS))
    def run(call: FuzzedCall) -> None:
        one(call)

    return run


async def fuzz(seconds: float, first_seed: int) -> dict[str, Any]:
    """All that was seen."""
    with tempfile.TemporaryDirectory(prefix="dragoman-fuzz-") as folder:
        server = ServerProcess(Path(folder), settings="log_level = 'warning'\n")
        async with running(server):
            found = Fuzz(server, first_seed)
            workers, files = server.workers(), 0
            began = time.monotonic()
            while time.monotonic() - began < seconds and server.is_alive and not found.lost:
                await asyncio.to_thread(found.round)
                files = files or server.open_files()
            return await _judged(found, server, workers, files)


async def _judged(
    found: Fuzz, server: ServerProcess, workers: list[int], files: int
) -> dict[str, Any]:
    lost = list(found.lost)
    if not server.is_alive:
        lost.append(f"the server ended with {server.process.returncode}")
        return {"lost": lost}
    if not await server.idle(60.0):
        lost.append("something is still at work")
    if server.workers() != workers:
        lost.append(f"worker processes were {workers} and are {server.workers()}")
    settled = found.memory[min(_SETTLED_ROUNDS, len(found.memory)) - 1]
    growth = found.memory[-1] - settled
    if growth > _MEMORY_MB:
        lost.append(f"memory grew by {growth:.0f} MB after the first {_SETTLED_ROUNDS} rounds")
    more = server.open_files() - files
    if more > 20:
        lost.append(f"{more} more descriptors are open")
    lost += server.tracebacks()
    code = await server.end()
    if code:
        lost.append(f"the server ended with {code}")
    statuses = {path: dict(codes) for path, codes in sorted(found.statuses.items())}
    calls = sum(codes.total() for codes in found.statuses.values())
    return {"calls": calls, "memory_growth_mb": growth, "statuses": statuses, "lost": lost}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same calls")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="for fuzz.json")
    given = parser.parse_args()
    found = asyncio.run(fuzz(given.seconds, given.seed))
    text = json.dumps(found, indent=1)
    print(text)
    if given.results is not None:
        given.results.mkdir(parents=True, exist_ok=True)
        about = {"command": f"make fuzz, {given.seconds:g} s, seed {given.seed}"}
        text = json.dumps({**about, **found}, indent=1)
        (given.results / "fuzz.json").write_text(text + "\n", encoding="utf-8")
    print(f"{found.get('calls', 0):,} calls; lost: {len(found['lost']) or 'nothing'}")
    sys.exit(1 if found["lost"] else 0)


if __name__ == "__main__":
    main()
