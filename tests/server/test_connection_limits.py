"""What a client can hold of the server, in raw HTTP/2 where gRPC's own client is too polite."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dragoman.v1 import embedding_service_pb2, model_service_pb2
from dragoman_server.security.connection_limits import ConnectionLimits

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

MEGABYTE = 1024 * 1024
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
LIST_MODELS = "/dragoman.v1.ModelService/ListModels"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name: str, value: str) -> bytes:
    """A header without compression or index (RFC 7541, section 6.2.2); both under 127 bytes."""
    return b"\x00" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


CALL = b"".join(
    header(name, value)
    for name, value in (
        (":method", "POST"), (":scheme", "http"), (":path", LIST_MODELS), (":authority", "test"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )
)  # fmt: skip


def bomb(megabytes: int) -> bytes:
    """So many megabytes of zeros in deflate's format (RFC 1950), about a thousandth of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = b"\x03\x00"
    adler = (megabytes * MEGABYTE % 65_521) << 16 | 1  # of zeros alone
    return b"\x78\xda" + block * megabytes + last + struct.pack(">I", adler)


def highest_megabytes(*, anew: bool = False) -> float:
    """The most memory that this process has had resident, ever or since it was asked `anew`."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the highest is what it is now
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


async def until_answered(reader: asyncio.StreamReader) -> None:
    """Until the server has ended the first stream."""
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if stream == 1 and (kind == RST_STREAM or (kind == HEADERS and flags & 1)):
            return


@asynccontextmanager
async def connected(
    address: str, *, speak: bool = True
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        if speak:
            writer.write(PREFACE + frame(SETTINGS))
        yield reader, writer
    finally:
        writer.close()


async def is_closed(reader: asyncio.StreamReader, seconds: float = 30) -> bytes:
    """All that comes until the server closes the connection."""
    async with asyncio.timeout(seconds):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def still_answers(server: RunningServer) -> bool:
    answer = await server.models.ListModels(model_service_pb2.ListModelsRequest(), timeout=60)
    return len(answer.models) == 2


async def test_half_open_and_slow_connections_are_closed(server_with: ServerFactory) -> None:
    settings = {"connections": {"handshake_seconds": 0.5}}
    async with server_with(settings) as server:
        async with (
            connected(server.address, speak=False) as (silent, _),
            connected(server.address, speak=False) as (slow, writer),
        ):
            writer.write(PREFACE[:10])
            await is_closed(silent)
            await is_closed(slow)
        assert await still_answers(server)


async def test_idle_connections_are_closed(server_with: ServerFactory) -> None:
    async with server_with({"connections": {"idle_seconds": 0.5}}) as server:
        async with connected(server.address) as (reader, writer):
            writer.write(frame(SETTINGS, flags=1))
            await is_closed(reader)
        assert await still_answers(server)


async def test_a_flood_of_pings_ends_the_connection(server: RunningServer) -> None:
    async with connected(server.address) as (reader, writer):
        writer.write(frame(PING, bytes(8)) * 20)
        frames = await is_closed(reader)
    assert b"too_many_pings" in frames
    assert await still_answers(server)


async def test_a_flood_of_streams_that_are_reset_at_once_harms_nobody(
    server: RunningServer,
) -> None:
    async with connected(server.address) as (_, writer):
        for number in range(1, 6_001, 2):
            writer.write(
                frame(HEADERS, CALL, flags=4, stream=number)
                + frame(RST_STREAM, struct.pack(">I", 8), stream=number)
            )
        assert await still_answers(server)
    async with asyncio.timeout(60):
        while server.parts.admission.in_flight:  # noqa: ASYNC110 - nothing tells when they end
            await asyncio.sleep(0.01)


async def test_connections_over_the_limit_are_closed(server_with: ServerFactory) -> None:
    async with server_with({"connections": {"connections": 4}}) as server:
        assert await still_answers(server)
        open_ones = [connected(server.address) for _ in range(8)]
        pairs = [await one.__aenter__() for one in open_ones]
        ended = await asyncio.gather(*(_ends(reader) for reader, _ in pairs))
        assert sum(ended) >= 8 - 4
        assert await still_answers(server)  # on the connection that it has
        for one in open_ones:
            await one.__aexit__(None, None, None)


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        await is_closed(reader, seconds=2)
    except TimeoutError:
        return False
    return True


async def test_bombs_of_compression_are_not_unpacked(server: RunningServer) -> None:
    content = bomb(60)
    assert len(zlib.decompress(content)) == 60 * MEGABYTE
    content = b"\x01" + struct.pack(">I", len(content)) + content  # \x01: compressed
    assert len(content) < 65_535  # what a client may send before the server grants more
    assert await still_answers(server)
    before = highest_megabytes(anew=True)
    async with connected(server.address) as (reader, writer), asyncio.timeout(60):
        encoded = CALL + header("grpc-encoding", "deflate")
        writer.write(frame(HEADERS, encoded, flags=4, stream=1))
        for begin in range(0, len(content), 16_384):
            part = content[begin : begin + 16_384]
            last = begin + 16_384 >= len(content)
            writer.write(frame(DATA, part, flags=int(last), stream=1))
        await until_answered(reader)
    assert highest_megabytes() - before < 10
    assert await still_answers(server)


async def test_compressed_calls_are_refused_by_name(server: RunningServer) -> None:
    request = embedding_service_pb2.EmbedRequest(words=["king" * 100] * 10)
    with pytest.raises(grpc.aio.AioRpcError, match="gzip") as caught:
        await server.embedding.Embed(request, compression=grpc.Compression.Gzip, timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_too_much_metadata_is_refused(server: RunningServer) -> None:
    call = server.models.ListModels(
        model_service_pb2.ListModelsRequest(), metadata=(("x-much", "x" * 100_000),), timeout=60
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await still_answers(server)


def test_every_limit_reaches_grpc() -> None:
    limits = ConnectionLimits()
    arguments: dict[str, Any] = dict(limits.channel_arguments())
    assert arguments["grpc.max_concurrent_streams"] == limits.concurrent_streams
    assert arguments["grpc.server_handshake_timeout_ms"] == 10_000
    assert arguments["grpc.max_connection_age_ms"] == 2**31 - 1
    changed: dict[str, Any] = {
        "connections": 5, "concurrent_streams": 6, "handshake_seconds": 7.0, "idle_seconds": 8.0,
        "age_seconds": 9.0, "keepalive_seconds": 11.0, "keepalive_timeout_seconds": 12.0,
        "ping_seconds": 13.0, "ping_strikes": 14, "metadata_bytes": 2_048,
    }  # fmt: skip
    assert set(changed) == set(ConnectionLimits.model_fields)
    for name, value in changed.items():
        other = dict(ConnectionLimits(**{name: value}).channel_arguments())
        assert other != arguments, name
