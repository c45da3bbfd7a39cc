"""The training work that every trainer of the benchmark does, and how it is timed.

Needs nothing but Python, as `workload.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import islice

from tests.benchmarks.translation.workload import Given

SENTENCES = 64  # in a batch; each is its own translation, of 15 pieces and the end
LABEL_SMOOTHING = 0.1
_STEPS, _REPETITIONS = 5, 3


def batches(options: Given) -> Iterator[list[list[str]]]:
    """The pieces of 64 sentences after another, round and round."""
    first = 0
    while True:
        yield [one.pieces for one in options.sources[first : first + SENTENCES]]
        first = (first + SENTENCES) % (len(options.sources) - SENTENCES)


def time_steps(work: Iterator[list[list[str]]], step: Callable[[list[list[str]]], int]) -> None:
    """Prints the best repetition's target pieces (ends among them) per second of CPU time."""
    for batch in islice(work, 2):
        step(batch)
    rates = []
    for _ in range(_REPETITIONS):
        began = time.process_time()
        pieces = sum(step(batch) for batch in islice(work, _STEPS))
        rates.append(pieces / (time.process_time() - began))
    print(json.dumps({"pieces_per_second": max(rates)}), flush=True)
