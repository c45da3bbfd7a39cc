"""Callers of streams that do not read what they asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from tests.benchmarks.chaos.bench import Bench
from tests.benchmarks.chaos.fault_report import FaultReport
from tests.benchmarks.chaos.traffic import Traffic
from tests.benchmarks.serving.serving_run import WORDS, channel_to

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1 import embedding_service_pb2_grpc, language_model_service_pb2_grpc
from dragoman.v1 import language_model_service_pb2 as language_model_pb

_STREAMS = 20
_TEXTS = 4
_BATCHES = 100
_TOKENS = 10_000
_MEMORY_MB = 400.0


async def slow_readers(bench: Bench) -> FaultReport:
    """Each stream asks for far more than gRPC keeps on its way; then half of them read it all."""
    report = FaultReport(fault="slow readers of streams")
    server, count = bench.server, bench.many(_STREAMS)
    before = server.memory_megabytes()
    traffic = Traffic(server.address, bench.references)
    async with channel_to(server.address) as channel:
        streams = [_neighbors(channel) for _ in range(count)]
        texts = [_texts(channel) for _ in range(_TEXTS)]
        async with traffic.going_on(4):
            await asyncio.sleep(10.0 * bench.scale)
            growth = server.memory_megabytes() - before
        read = await asyncio.gather(*(_read(stream) for stream in streams[::2]))
        for stream in (*streams[1::2], *texts):
            stream.cancel()
    report.tried.append(
        f"{count} streams that asked for {_BATCHES * 64:,} answers each, and {_TEXTS} for 8 texts "
        f"of {_TOKENS:,} tokens, and read none; "
        f"beside them {traffic.said()}"
    )
    report.survived.append(f"memory {growth:+.0f} MB while nobody read")
    report.expect(f"memory grows less than {_MEMORY_MB:g} MB", growth < _MEMORY_MB, growth)
    report.expect("others are answered", not traffic.unexpected(), traffic.unexpected())
    report.expect("and rightly", not traffic.lost, traffic.lost[:3])
    wrong = [one for one in read if one != _BATCHES]
    report.expect("who reads at last gets everything", not wrong, wrong[:5])
    report.expect("the work for who goes away stops", await server.idle(120.0))
    return report


def _neighbors(channel: grpc.aio.Channel) -> Any:
    stub: Any = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
    queries = [pb.NearestQuery(word=WORDS[index % len(WORDS)]) for index in range(64)]
    options = pb.SearchOptions(k=100)
    batch = pb.NearestRequest(queries=queries, options=options)
    rest = pb.NearestRequest(queries=queries)
    requests = [pb.NearestStreamRequest(batch=batch if n == 0 else rest) for n in range(_BATCHES)]
    return stub.NearestStream(iter(requests), timeout=600)


def _texts(channel: grpc.aio.Channel) -> Any:
    stub: Any = language_model_service_pb2_grpc.LanguageModelServiceStub(channel)
    options = language_model_pb.GenerationOptions(max_tokens=_TOKENS, sample_count=8)
    request = language_model_pb.GenerateRequest(prompt="Once", options=options)
    return stub.Generate(request, timeout=600)


async def _read(stream: Any) -> int | str:
    """How many answers came, or what ended the stream."""
    count = 0
    try:
        async for _ in stream:
            count += 1
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name} after {count}"
    return count
