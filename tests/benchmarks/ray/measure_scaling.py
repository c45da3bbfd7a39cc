"""Replicas that come and go with the load, are killed, and lose their machine.

    python -m tests.benchmarks.ray.measure_scaling [--callers 6] [--seconds 20]

A front end joins a cluster of Ray whose machines are groups of processes on this one, with a small
translator (random weights) that has one to two replicas. Callers that never try again translate all
the while. What each step took, how calls ended and the latencies are printed; the exit code is 1
where a call failed while nothing was killed, or ended otherwise than OK or UNAVAILABLE.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from tests.benchmarks.ray.two_machines import (
    Machines,
    machines,
    ready_replicas,
    replicas_of,
)
from tests.benchmarks.serving.serving_run import channel_to, quantile
from tests.end_to_end.conftest import write_translator

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1 import translation_service_pb2_grpc

_PATIENCE = 900.0  # seconds: the machine may be busy
_CORES = 2
_STEPS = 400  # of decoding, that each call takes
_SETTINGS = """
shipped_models = false
model_repositories = ["{models}"]
engine = "ray"
[models]
load_timeout_seconds = 900
[ray]
address = "{address}"
start_seconds = 900
[ray.translation.autoscaling]
min_replicas = 1
max_replicas = 2
target_ongoing_requests = 0.7
upscale_delay_seconds = 2
downscale_delay_seconds = 5
"""


@dataclass
class Step:
    """What happened, how long it took until it had its effect, and what callers saw meanwhile."""

    name: str
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def row(self) -> str:
        """Of a table in Markdown."""
        ended = ", ".join(f"{count:,} {code}" for code, count in sorted(self.ended.items()))
        waits = [f"{quantile(self.latencies, q):.2f}" if self.latencies else "" for q in (0.5, 1.0)]
        return f"| {self.name} | {self.seconds:.1f} | {ended} | {waits[0]} | {waits[1]} |"


class Load:
    """Callers without pause, who never try again."""

    def __init__(self, address: str, callers: int) -> None:
        self._address = address
        self._callers = callers
        self._over = False
        self.step = Step("")

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Until the end of the `async with`; then open calls are waited for."""
        async with channel_to(self._address) as channel:
            stub: Any = translation_service_pb2_grpc.TranslationServiceStub(channel)
            tasks = [asyncio.create_task(self._caller(stub, one)) for one in range(self._callers)]
            try:
                yield
            finally:
                self._over = True
                await asyncio.gather(*tasks)

    async def _caller(self, stub: Any, number: int) -> None:
        # Other lengths, so that calls share no batch and several batches are at work.
        steps = _STEPS + number
        options = pb.TranslationOptions(beam_width=1, min_length=steps, max_length=steps)
        source = pb.TranslationSource(text="the cat")
        request = pb.TranslateRequest(sources=[source], options=options)
        while not self._over:
            began, code = time.monotonic(), "OK"
            try:
                await stub.Translate(request, timeout=_PATIENCE)
            except grpc.aio.AioRpcError as error:
                code = error.code().name
                await asyncio.sleep(0.2)
            self.step.ended[code] += 1
            self.step.latencies.append(time.monotonic() - began)


@contextmanager
def front_end(folder: Path, cluster: Machines) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server on the cluster, once its model is ready, and its process."""
    write_translator(folder / "models" / "babel" / "1")
    config = folder / "dragoman.toml"
    config.write_text(_SETTINGS.format(models=folder / "models", address=cluster.address))
    command = [sys.executable, "-m", "dragoman_server", "--address", "127.0.0.1:0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--config", str(config)], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        lines = iter(process.stdout or ())
        address = next(lines).split()[-1]
        if next(lines).strip() != "ready: 1 models":
            raise RuntimeError((folder / "log").read_text())
        yield address, process
    finally:
        process.kill()
        process.communicate()


async def until(condition: Callable[[], bool], step: Step) -> None:
    """Waits for it, and notes how long that took; raises TimeoutError."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > _PATIENCE:
            raise TimeoutError(step.name)
        await asyncio.sleep(0.3)
    step.seconds = time.monotonic() - began


async def measure(cluster: Machines, folder: Path, callers: int, seconds: float) -> list[Step]:
    """All steps, one after the other."""
    first = cluster.add(_CORES)
    there = [first]

    def replicas() -> list[int]:
        return [pid for machine in there for pid in replicas_of(machine)]

    def ready(count: int, *, but: int = 0) -> bool:
        found = replicas()
        return len(found) == count and but not in found and ready_replicas() == count

    with front_end(folder, cluster) as (address, process):
        load = Load(address, callers)
        steps: list[Step] = []

        async def step(name: str, condition: Callable[[], bool], rest: float = 0.0) -> None:
            load.step = Step(name)
            steps.append(load.step)
            await until(condition, load.step)
            await asyncio.sleep(rest)
            print(load.step.row(), flush=True)

        await step("at rest: one replica", lambda: ready(1))
        async with load.going_on():
            await step("load: a second replica", lambda: ready(2), seconds)
            killed = replicas()[0]
            os.kill(killed, signal.SIGKILL)
            await step("one is killed: another", lambda: ready(2, but=killed), seconds)
            second = cluster.add(_CORES)
            there.append(second)
            await asyncio.to_thread(cluster.lose, first)
            there.remove(first)
            await step("their machine is lost: two on another", lambda: ready(2), seconds)
        await step("no load: one replica", lambda: ready(1))
        process.send_signal(signal.SIGTERM)
        await step("SIGTERM: the front end has ended", lambda: process.poll() is not None)
        await step("and its replicas", lambda: not replicas())
        if process.returncode != 0:
            raise RuntimeError(f"the front end ended with {process.returncode}")
    return steps


def failures(steps: list[Step]) -> list[str]:
    """What may not be."""
    found = []
    for step in steps:
        allowed = {"OK", "UNAVAILABLE"} if "killed" in step.name or "lost" in step.name else {"OK"}
        found += [f"{step.name}: {step.ended[code]} {code}" for code in step.ended.keys() - allowed]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0, help="of load after each step")
    given = parser.parse_args()
    print("| step | s until then | calls | median s | most s |\n|---|---|---|---|---|", flush=True)
    with machines() as cluster, tempfile.TemporaryDirectory() as folder:
        steps = asyncio.run(measure(cluster, Path(folder), given.callers, given.seconds))
    wrong = failures(steps)
    print("\nfailed: " + ("; ".join(wrong) or "nothing"))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
