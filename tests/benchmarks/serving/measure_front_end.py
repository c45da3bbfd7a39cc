"""Measures what one front end spends on each call, and what its models do, in processor time.

    python -m tests.benchmarks.serving.measure_front_end [--engine ray] [--sentences 16]

64 callers each send calls of so many sentences to `Translate`. Processor time is little disturbed
by what else runs: a front end passes on at most 1000 / (milliseconds a call) calls a second for
each core, and a replica answers at most 1000 / (milliseconds of other processes a call).
"""

import argparse
import asyncio
import os
from collections.abc import Iterator
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
# On Ray a replica for each model; so many processes otherwise.
_SETTINGS = (
    "engine = '{engine}'\nworker_threads = 1\n[workers]\ntranslation = 1\nlanguage_model = 0\n"
)


def processor_ms(process: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return 1_000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(process: int) -> Iterator[int]:
    """The processes that it started, and those that they did."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from descendants(child)


def used(process: int) -> tuple[float, float]:
    """Milliseconds of the front end, and of all others."""
    return processor_ms(process), sum(map(processor_ms, descendants(process)))


def translations(sentences: int) -> list[pb.TranslateRequest]:
    """Calls of so many sentences each."""
    texts = [*SENTENCES, *SENTENCES[: sentences - 1]]
    calls = []
    for start in range(len(SENTENCES)):
        sources = [pb.TranslationSource(text=text) for text in texts[start : start + sentences]]
        call = pb.TranslateRequest(sources=sources)
        call.model.name = _MODEL
        calls.append(call)
    return calls


async def measure(
    address: str, process: int, sentences: int, callers: int, seconds: float
) -> dict[str, Any]:
    """Rates, and milliseconds of processor time a call."""
    found: dict[str, Any] = {"callers": callers, "sentences_a_call": sentences}
    async with channel_to(address) as channel:
        translation: Any = translation_service_pb2_grpc.TranslationServiceStub(channel)
        embedding: Any = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
        requests = translations(sentences)
        size = sum(request.ByteSize() for request in requests) / len(requests)
        answers = [await translation.Translate(request) for request in requests[:16]]
        found["request_bytes"] = size
        found["answer_bytes"] = sum(answer.ByteSize() for answer in answers) / len(answers)
        words = [embedding_service_pb2.EmbedRequest(words=[word]) for word in WORDS]
        for name, call in (
            ("translate", lambda number: translation.Translate(requests[number % len(requests)])),
            ("embed", lambda number: embedding.Embed(words[number % len(words)])),
        ):
            before = used(process)
            rate, latencies = await rate_of(call, callers=callers, seconds=seconds)
            after = used(process)
            count = rate * seconds * 1.2  # with those of the time that is not counted
            found[name] = {
                "calls_a_second": rate,
                "p99_ms": 1_000 * quantile(latencies, 0.99),
                "front_end_ms_a_call": (after[0] - before[0]) / count,
                "other_processes_ms_a_call": (after[1] - before[1]) / count,
            }
    return found


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description="Measure what a front end spends on each call.")
    parser.add_argument("--engine", choices=["workers", "ray"], default="workers")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--sentences", type=int, default=1, help="of each call")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with running_server(_SETTINGS.format(engine=given.engine), cores) as (address, process):
        found = asyncio.run(
            measure(address, process, given.sentences, given.callers, given.seconds)
        )
    rows = [
        (
            f"{name}: {key.replace('_', ' ')}",
            f"{found[name][key]:,.2f}",
            "",
        )
        for name in ("translate", "embed")
        for key in found[name]
    ]
    report(rows, {"engine": given.engine, **found}, given.json)


if __name__ == "__main__":
    main()
