"""A server in a process of its own, on cores of its own, and callers for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc

_OPENINGS = (
    "Le chat", "Mon frère", "La vieille dame", "Un de mes amis", "Le médecin", "Notre voisin",
    "Cette petite fille", "Le directeur de l'école",
)  # fmt: skip
_ACTIONS = (
    "dort sur le tapis", "cherche ses clés", "a acheté une nouvelle voiture",
    "boit du café tous les matins", "lit un livre intéressant", "ne parle pas anglais",
    "est parti hier soir sans dire un mot", "voudrait apprendre à nager",
)  # fmt: skip
_ENDS = (".", " dans la cuisine.", " avec sa sœur.", " depuis trois jours, je crois.")
SENTENCES = [f"{o} {a}{e}" for e in _ENDS for a in _ACTIONS for o in _OPENINGS]  # 256
WORDS = (
    *("king", "queen", "man", "woman", "paris", "london", "dog", "cat", "apple", "tree"),
    *("house", "car", "road", "river", "lake", "sea", "sun", "moon", "star", "sky"),
)


@contextmanager
def running_server(settings: str, cores: Sequence[int]) -> Iterator[tuple[str, int]]:
    """The address and the process id of a server with the shipped models, once it is warm."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "dragoman.toml"
        config.write_text(settings, encoding="utf-8")
        command = [sys.executable, "-m", "dragoman_server", "--address", "127.0.0.1:0"]
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(
                [*command, "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            ) as process,
        ):
            try:
                lines = iter(process.stdout or ())
                address = next(lines).split()[-1]
                next(lines)  # ready
                yield address, process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=120)


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that never retries: every refusal is counted."""
    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        yield channel


async def rate_of(
    call: Callable[[int], Awaitable[Any]], *, callers: int, seconds: float
) -> tuple[float, list[float]]:
    """Answers a second to so many callers that each ask anew when answered, and the latencies.

    A fifth of the time goes by first, uncounted.
    """
    latencies: list[float] = []
    begin = time.monotonic() + seconds / 5
    end = begin + seconds
    number = 0

    async def caller() -> None:
        nonlocal number
        while (asked := time.monotonic()) < end:
            number += 1
            await call(number)
            answered = time.monotonic()
            if begin <= answered < end:
                latencies.append(answered - asked)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(latencies) / seconds, latencies


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def report(
    rows: Sequence[tuple[str, str, str]], found: Mapping[str, Any], file: Path | None
) -> None:
    """Prints what was held against which goal, then the figures as JSON, also into a file."""
    width = max(len(row[0]) for row in rows)
    for what, value, goal in rows:
        print(f"{what:<{width}}  {value:>14}  {goal}")
    text = json.dumps(found, indent=1)
    print(text)
    if file is not None:
        file.write_text(f"{text}\n", encoding="utf-8")
