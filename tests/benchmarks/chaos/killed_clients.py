"""Clients that are killed in the midst of streams and long calls."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport

_ROUNDS = 6
_MEMORY_MB = 60.0
_STOP_SECONDS = 30.0
_CLIENT = """
import asyncio, sys
from dragoman_client import AsyncClient, GenerationOptions, TranslationOptions

async def stream(client):
    async for _ in client.translate_stream(iter(lambda: "Le chat dort sur le tapis.", None),
                                           model="fr-en"):
        print("answer", flush=True)

async def generate(client):
    options = GenerationOptions(max_tokens=10_000, sample_count=8)
    async for _ in client.generate("Once", options=options, timeout=600):
        print("answer", flush=True)

async def translate(client):
    options = TranslationOptions(beam_width=32)
    await client.translate(["Le chat dort sur le tapis."] * 1_000, model="fr-en", options=options,
                           timeout=600)

async def main():
    async with AsyncClient(sys.argv[1]) as client:
        await asyncio.gather(stream(client), generate(client), translate(client))

asyncio.run(main())
"""


async def killed_clients(bench: Bench) -> FaultReport:
    """Each round a client of three long calls is killed when answers have begun to come."""
    report = FaultReport(fault="killed clients")
    server, rounds = bench.server, bench.many(_ROUNDS)
    memory, stops, stopped = [], [], True
    for _ in range(rounds):
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CLIENT, server.address, stdout=asyncio.subprocess.PIPE
        )
        if client.stdout is not None:
            for _ in range(20):
                await client.stdout.readline()
        client.send_signal(signal.SIGKILL)
        began = time.monotonic()
        await client.communicate()
        stopped = stopped and await server.idle(120.0)
        stops.append(time.monotonic() - began)
        memory.append(server.memory_megabytes())
    growth = memory[-1] - memory[0]
    report.tried.append(f"{rounds} clients with two streams and a long call each, SIGKILL")
    report.survived.append(f"work stopped within {max(stops):.1f} s, memory {growth:+.0f} MB")
    report.expect("all work of theirs stops", stopped)
    report.expect(f"within {_STOP_SECONDS:g} s", max(stops) < _STOP_SECONDS, f"{max(stops):.1f} s")
    report.expect(f"memory grows less than {_MEMORY_MB:g} MB", growth < _MEMORY_MB, growth)
    return report
