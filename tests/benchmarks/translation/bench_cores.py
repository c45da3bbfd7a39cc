"""Two cores against one, of Dragoman alone: worker threads of a process, and processes.

Wall-clock time: both cores must be free. Prints a line of JSON: sentences a second of one worker,
of two threads, and of two processes, in the batches of 64 at beam 5 that the variant names.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable

import numpy as np
from tests.benchmarks.translation.bench_dragoman import options_of, random_translator
from tests.benchmarks.translation.workload import Given, given

from dragoman_models.translation.arithmetic.layers import DenseLayer
from dragoman_models.translation.arithmetic.packing import Precision

_BATCH = 64


def rate(work: Callable[[], int], seconds: float) -> float:
    """Sentences a second of calls until the time is over."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += work()
    return done / (time.perf_counter() - began)


def process(given: Given, texts: list[str], beam: int, seconds: float, start: object) -> float:
    """What one of several processes does: get ready, wait for the others, and be timed."""
    work = worker(given, texts, beam)
    start.wait()  # type: ignore[attr-defined]
    return rate(work, seconds)


def worker(given: Given, texts: list[str], beam: int) -> Callable[[], int]:
    """Translates the same batch over and over."""
    translator = random_translator(given.variant, given.work)

    def work() -> int:
        return len(translator.translate(texts, options_of(beam)))

    work()
    return work


def products_alone() -> Callable[[], int]:
    """The innermost loop on operands in the nearest cache: what two cores can give at best, which
    is less than twice where they share a core's units."""
    layer = DenseLayer(np.ones((64, 512), np.float32), None, Precision.INT8)
    codes = Precision.INT8.rounded(np.zeros((2000, 512), np.float32))
    layer(codes, 2000)

    def work() -> int:
        return len(layer(codes, 2000))

    return work


def of_threads(count: int, work: Callable[[], int], seconds: float) -> float:
    """All threads' sentences a second."""
    rates: list[float] = []
    threads = [
        threading.Thread(target=lambda: rates.append(rate(work, seconds))) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def of_processes(count: int, given: Given, texts: list[str], beam: int, seconds: float) -> float:
    """All processes' sentences a second."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(count) as pool:
        start = manager.Barrier(count)
        waiting = [
            pool.apply_async(process, (given, texts, beam, seconds, start)) for _ in range(count)
        ]
        return sum(one.get() for one in waiting)


def main() -> None:
    """Times one worker between the two kinds of two, so that a slow moment hits all alike."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # whatever this process is tied to
    arguments = given()
    texts = [one.text for one in arguments.sources]
    seconds = 3 * arguments.seconds
    alone = products_alone()
    row = {"one": of_threads(1, alone, seconds / 3), "threads": of_threads(2, alone, seconds / 3)}
    print(json.dumps({"products_alone": row["threads"] / row["one"]}), flush=True)
    for beam, batch in ((5, _BATCH), (5, 1)):
        work = worker(arguments, texts[:batch], beam)
        row = {
            "beam": beam,
            "batch": batch,
            "one": of_threads(1, work, seconds),
            "threads": of_threads(2, work, seconds),
            "one_again": of_threads(1, work, seconds),
            "processes": of_processes(2, arguments, texts[:batch], beam, seconds),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
