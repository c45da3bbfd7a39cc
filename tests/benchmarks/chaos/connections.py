"""Connections that are opened and dropped, kept half open, served slowly, or used for floods."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.raw_http2 import (
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    connected,
    frame,
    headers_of,
)
from tests.benchmarks.chaos.traffic import Traffic

_CONNECTIONS = 10_000
_AT_ONCE = 100
_RUDE = 200  # half-open ones, and slow ones
_RESETS = 20_000
_MEMORY_MB = 80.0
_CANCEL = 8  # HTTP/2's error code
_METHOD = "/dragoman.v1.ModelService/ListModels"


async def dropped_connections(bench: Bench) -> FaultReport:
    """Every other one ends by a TCP RST, after as much of HTTP/2 as chance lets through."""
    count = bench.many(_CONNECTIONS)

    async def one(number: int) -> None:
        with suppress(OSError):
            async with connected(bench.server.address, reset=number % 2 == 0) as (_, writer):
                writer.write((PREFACE + frame(SETTINGS))[: number % 40])
                await writer.drain()

    async def all_of_them() -> None:
        await _some_at_once(one, range(count))

    return await _while_others_call(
        bench, "connections opened and dropped", f"{count:,} connections", all_of_them
    )


async def rude_connections(bench: Bench) -> FaultReport:
    """Some say nothing, some a byte a second; both must be closed."""
    count, closed = bench.many(_RUDE), 0

    async def one(number: int) -> None:
        nonlocal closed
        async with connected(bench.server.address) as (reader, writer):
            if number % 2:
                talking = asyncio.create_task(_slowly(writer))
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(120):
                    await reader.read()
                closed += 1
            if number % 2:
                talking.cancel()

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(count)))

    report = await _while_others_call(
        bench, "half-open and slow connections", f"{count} that never finish HTTP/2's beginning",
        all_of_them,
    )  # fmt: skip
    report.expect("the server closes all of them", closed == count, f"{closed} of {count}")
    return report


async def reset_floods(bench: Bench) -> FaultReport:
    """Streams that are reset as soon as they are opened ("rapid reset", CVE-2023-44487)."""
    count = bench.many(_RESETS)
    head, reset = headers_of(_METHOD), struct.pack(">I", _CANCEL)

    async def one(_: int) -> None:
        with suppress(OSError):
            async with connected(bench.server.address) as (_reader, writer):
                writer.write(PREFACE + frame(SETTINGS))
                for stream in range(1, 2 * count // 4, 2):
                    writer.write(frame(HEADERS, head, flags=4, stream=stream))
                    writer.write(frame(RST_STREAM, reset, stream=stream))
                    if stream % 101 == 0:
                        await writer.drain()
                await writer.drain()

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(4)))

    return await _while_others_call(
        bench, "floods of reset streams", f"{count:,} streams on 4 connections", all_of_them
    )


async def _while_others_call(
    bench: Bench, fault: str, tried: str, rudeness: Callable[[], Awaitable[None]]
) -> FaultReport:
    """Others must not feel it, and nothing may be left of it."""
    report, server = FaultReport(fault=fault), bench.server
    before, files = server.memory_megabytes(), server.open_files()
    traffic = Traffic(server.address, bench.references)
    async with traffic.going_on(4):
        began = time.monotonic()
        await rudeness()
        took = time.monotonic() - began
    idle = await server.idle()
    files_left = await _files_above(bench, files)
    growth = server.memory_megabytes() - before
    report.tried.append(f"{tried} in {took:.0f} s, beside {traffic.said()}")
    report.survived.append(f"memory {growth:+.0f} MB, {max(0, files_left)} more files open")
    report.expect("others are answered", not traffic.unexpected(), traffic.unexpected())
    report.expect("and rightly", not traffic.lost, traffic.lost[:3])
    report.expect("nothing is left at work", idle)
    report.expect("their descriptors are closed", files_left < 20, files_left)
    report.expect(f"memory grows less than {_MEMORY_MB:g} MB", growth < _MEMORY_MB, growth)
    return report


async def _files_above(bench: Bench, before: int) -> int:
    """Descriptors more than before, once those of closed connections had time to go."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        if bench.server.open_files() <= before + 5:
            break
        await asyncio.sleep(0.5)
    return bench.server.open_files() - before


async def _slowly(writer: asyncio.StreamWriter) -> None:
    for byte in PREFACE:
        writer.write(bytes([byte]))
        await asyncio.sleep(1.0)


async def _some_at_once(one: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
