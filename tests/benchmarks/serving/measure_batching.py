"""Measures what dynamic batching gives: many callers of one sentence against offline batches.

    python -m tests.benchmarks.serving.measure_batching [--seconds 30] [--json FILE]

The server and the offline batches have the same core, one after the other; the callers have the
others. Three things are measured, in about four minutes:
- 64 callers of single sentences against `translate` of batches of 64, in sentences a second;
- a lone caller's median latency against that of the direct call of the same sentences;
- Embed and Nearest of one word by 64 callers, in calls a second.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.serving.serving_run import (
    SENTENCES,
    WORDS,
    channel_to,
    quantile,
    rate_of,
    report,
    running_server,
)

from dragoman.v1 import (
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    translation_service_pb2_grpc,
)
from dragoman.v1 import translation_service_pb2 as pb

_MODEL = "fr-en"
_CALLERS = 64
_SETTINGS = "worker_threads = 1\nlog_level = 'info'\n"


def offline(seconds: float) -> dict[str, float]:
    """Sentences a second in batches of 64, and the median milliseconds of one sentence alone."""
    from dragoman_models.bundle import read_bundle
    from dragoman_models.registry import load_model
    from dragoman_models.translation.translation_options import TranslationOptions
    from dragoman_server.repository_scan import shipped_repository

    version = max((shipped_repository() / _MODEL).iterdir(), key=lambda path: int(path.name))
    model: Any = load_model(read_bundle(version))
    options = TranslationOptions()
    model.translate(SENTENCES[:_CALLERS], options)
    done, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        start = done % len(SENTENCES)
        model.translate(SENTENCES[start : start + _CALLERS], options)
        done += _CALLERS
    rate = done / (time.monotonic() - began)
    alone = []
    for sentence in SENTENCES[:: len(SENTENCES) // 128]:
        asked = time.perf_counter()
        model.translate([sentence], options)
        alone.append(time.perf_counter() - asked)
    return {"sentences_a_second": rate, "alone_ms": 1_000 * statistics.median(alone)}


async def online(address: str, seconds: float) -> dict[str, float]:
    """The same through the server, and lookups."""
    async with channel_to(address) as channel:
        translation: Any = translation_service_pb2_grpc.TranslationServiceStub(channel)
        embedding: Any = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
        requests = [pb.TranslateRequest(sources=[pb.TranslationSource(text=t)]) for t in SENTENCES]
        for request in requests:
            request.model.name = _MODEL
        rate, latencies = await rate_of(
            lambda number: translation.Translate(requests[number % len(requests)]),
            callers=_CALLERS,
            seconds=seconds,
        )
        alone = []
        for request in requests[:: len(requests) // 128]:
            asked = time.perf_counter()
            await translation.Translate(request)
            alone.append(time.perf_counter() - asked)
        embed = [embedding_service_pb2.EmbedRequest(words=[word]) for word in WORDS]
        query = embedding_service_pb2.NearestQuery
        nearest = [
            embedding_service_pb2.NearestRequest(queries=[query(word=word)]) for word in WORDS
        ]
        embeds, _ = await rate_of(
            lambda number: embedding.Embed(embed[number % len(embed)]),
            callers=_CALLERS,
            seconds=seconds / 3,
        )
        searches, _ = await rate_of(
            lambda number: embedding.Nearest(nearest[number % len(nearest)]),
            callers=_CALLERS,
            seconds=seconds / 3,
        )
    return {
        "sentences_a_second": rate, "p50_ms": 1_000 * quantile(latencies, 0.5),
        "p99_ms": 1_000 * quantile(latencies, 0.99), "alone_ms": 1_000 * statistics.median(alone),
        "embed_calls_a_second": embeds, "nearest_calls_a_second": searches,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each throughput")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.offline:
        print(json.dumps(offline(given.seconds)))
        return
    cores = sorted(os.sched_getaffinity(0))
    own, rest = [cores[-1]], cores[:-1] or cores
    direct = _offline_process(given.seconds, own)
    with running_server(_SETTINGS, own) as (address, _):
        os.sched_setaffinity(0, rest)
        served = asyncio.run(online(address, given.seconds))
    share = served["sentences_a_second"] / direct["sentences_a_second"]
    overhead = served["alone_ms"] - direct["alone_ms"]
    report(
        [
            ("64 callers, sentences/s", f"{served['sentences_a_second']:.1f}", ""),
            ("offline batches of 64, sentences/s", f"{direct['sentences_a_second']:.1f}", ""),
            ("share of offline", f"{share:.1%}", "goal: 80 % or more"),
            ("lone caller more than direct, ms", f"{overhead:.2f}", "goal: 2 or less"),
            ("Embed calls/s", f"{served['embed_calls_a_second']:.0f}", "goal: 2,500 or more"),
            ("Nearest calls/s", f"{served['nearest_calls_a_second']:.0f}", ""),
        ],
        {"share": share, "overhead_ms": overhead, "offline": direct, "served": served},
        given.json,
    )


def _offline_process(seconds: float, cores: list[int]) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.serving.measure_batching",
        "--offline",
        "--seconds",
        str(seconds),
    ]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
