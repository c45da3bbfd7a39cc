"""A gRPC client that costs little, for measurements where callers share the machine.

A call by grpc.aio costs its caller about as much processor time as a refusal costs the server. This
one writes the frames of HTTP/2 (RFC 9113) itself, with the same header block for every call
(RFC 7541, literals without indexing), and of an answer it reads only what a measurement counts. It
never retries.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_CANCEL = 8
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_LOOK_SECONDS = 0.02  # between two looks for calls whose deadline has passed
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, kw_only=True)
class LeanAnswer:
    """How a call ended, and whether the server said when to come back."""

    code: grpc.StatusCode
    has_pushback: bool = False


class LeanConnection(asyncio.Protocol):
    """One connection, without TLS, for unary calls of one method."""

    def __init__(self, authority: str, method: str, deadline: float) -> None:
        """`deadline` of each call in seconds."""
        self._headers = _header_block(authority, method, deadline)
        self._deadline = deadline
        self._open: dict[int, asyncio.Future[LeanAnswer]] = {}
        self._deadlines: deque[tuple[float, int]] = deque()
        self._next_stream = 1
        self._window = _FIRST_WINDOW
        self._held: deque[tuple[int, int, bytes]] = deque()  # stream, bytes of data, frames
        self._flushing = False
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # No table of headers, so that every block can be read by itself; and all the window.
        settings = struct.pack(">HIHI", 1, 0, 4, _LARGEST_WINDOW)
        window = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
        transport.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW_UPDATE, 0, 0, window)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for stream in list(self._open):
            self._end(stream, LeanAnswer(code=grpc.StatusCode.UNAVAILABLE))

    def call(self, request: bytes) -> asyncio.Future[LeanAnswer]:
        """Begin a call with an encoded request message."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        answer: asyncio.Future[LeanAnswer] = asyncio.get_running_loop().create_future()
        self._open[stream] = answer
        self._deadlines.append((time.monotonic() + self._deadline, stream))
        message = struct.pack(">BI", 0, len(request)) + request
        frames = _frame(_HEADERS, _END_HEADERS, stream, self._headers)
        frames += _frame(_DATA, _END_STREAM, stream, message)
        self._held.append((stream, len(message), frames))
        if not self._flushing:  # once for all calls of this turn of the loop
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._send_held)
        return answer

    def cancel_late(self) -> None:
        """Give up the calls whose deadline has passed."""
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, stream = self._deadlines.popleft()
            if stream in self._open and self._transport is not None:
                self._transport.write(_frame(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)))
                self._end(stream, LeanAnswer(code=grpc.StatusCode.DEADLINE_EXCEEDED))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._received + data
        at, size = 0, len(buffer)
        while size - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if size - at < 9 + length:
                break
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big") & _LARGEST_WINDOW
            payload = buffer[at + 9 : at + 9 + length]
            self._heard(buffer[at + 3], buffer[at + 4], stream, payload)
            at += 9 + length
        self._received = buffer[at:]

    def _heard(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            if flags & _END_STREAM:
                self._end(stream, _read_trailers(payload))
        elif kind == _RST_STREAM:
            self._end(stream, LeanAnswer(code=grpc.StatusCode.UNAVAILABLE))
        elif kind in (_SETTINGS, _PING) and not flags & _ACK and self._transport is not None:
            self._transport.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._send_held()
        elif kind == _GOAWAY:
            raise ConnectionError(f"the server ended the connection: {payload[8:]!r}")

    def _send_held(self) -> None:
        """What the connection's window has room for; it is of data alone. A request is smaller than
        the window of its own stream."""
        self._flushing = False
        ready = []
        while self._held and self._window >= self._held[0][1]:
            stream, size, frames = self._held.popleft()
            if stream in self._open:  # or it is too late
                ready.append(frames)
                self._window -= size
        if ready and self._transport is not None:
            self._transport.writelines(ready)

    def _end(self, stream: int, answer: LeanAnswer) -> None:
        waiting = self._open.pop(stream, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


class LeanClient:
    """Calls of one method, spread over some connections."""

    def __init__(self, connections: list[LeanConnection]) -> None:
        self._connections = connections
        self._calls = 0

    async def call(self, request: bytes) -> LeanAnswer:
        """The end of a call with an encoded request message."""
        self._calls += 1
        return await self._connections[self._calls % len(self._connections)].call(request)

    async def keep_deadlines(self) -> None:
        """Give up late calls, until cancelled."""
        while True:
            for connection in self._connections:
                connection.cancel_late()
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def lean_client(
    address: str, method: str, *, deadline: float, connections: int
) -> AsyncIterator[LeanClient]:
    """A client of a server without TLS, for calls such as "/package.Service/Method"."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    made = [
        (
            await loop.create_connection(
                lambda: LeanConnection(address, method, deadline), host, int(port)
            )
        )[1]
        for _ in range(connections)
    ]
    client = LeanClient(made)
    keeping = asyncio.create_task(client.keep_deadlines())
    try:
        yield client
    finally:
        keeping.cancel()
        for connection in made:
            connection.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header_block(authority: str, method: str, deadline: float) -> bytes:
    """Indices are those of the static table (RFC 7541, appendix A)."""
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + b"\x04" + _string(method)  # :path
        + b"\x01" + _string(authority)  # :authority
        + b"\x0f\x10" + _string("application/grpc")  # content-type
        + b"\x00" + _string("te") + _string("trailers")
        + b"\x00" + _string("grpc-timeout") + _string(f"{round(deadline * 1_000)}m")
    )  # fmt: skip


def _string(text: str) -> bytes:
    encoded = text.encode("ascii")
    assert len(encoded) < 127  # longer lengths take more bytes
    return bytes([len(encoded)]) + encoded


def _read_trailers(block: bytes) -> LeanAnswer:
    """gRPC's core writes names and numbers as they are, without Huffman's code."""
    _, found, rest = block.partition(b"grpc-status")
    if not found or len(rest) < 2:
        raise ValueError(f"no status in the trailers: {block!r}")
    code = _CODES[int(rest[1 : 1 + rest[0]])]
    return LeanAnswer(code=code, has_pushback=b"grpc-retry-pushback-ms" in block)
