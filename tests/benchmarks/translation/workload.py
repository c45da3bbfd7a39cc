"""The work that every translator of the benchmark does, and how it is timed.

Needs nothing but Python, for the peers' environments have no Dragoman: sources are read from the
JSON file that `sources.py` writes. Each contestant is a process that calls ``run_cases``.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

OUTPUT_PIECES = 15
CASES = ((1, 1), (1, 16), (1, 64), (5, 1), (5, 16), (5, 64))  # beam width, batch


class Source(NamedTuple):
    """A sentence, and its 15 pieces."""

    text: str
    pieces: list[str]


class Given(NamedTuple):
    """What the command line says."""

    vocabulary: list[str]  # 8,000 pieces, special ones first
    sources: list[Source]
    variant: str
    seconds: float  # of one repetition
    work: Path  # a folder for models


def given() -> Given:
    """Reads the command line, which is the same for all contestants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--seconds", type=float, default=0.6)
    options = parser.parse_args()
    data = json.loads(options.sources.read_text(encoding="utf-8"))
    sources = [Source(*one) for one in data["sources"]]
    return Given(data["vocabulary"], sources, options.variant, options.seconds, options.work)


def run_cases(
    options: Given,
    translate: Callable[[list[Source], int], list[int]],
    *,
    repetitions: int = 4,
    cases: tuple[tuple[int, int], ...] = CASES,
) -> None:
    """Prints a line of JSON for each case: sentences per second of CPU time, the best repetition.

    ``translate`` takes sentences and a beam width and returns each translation's pieces, of which
    there must be 15 (a peer that counts eos among them: 14 to 16).
    """
    for beam, batch in cases:
        lengths = translate(options.sources[:batch], beam)
        if not all(abs(length - OUTPUT_PIECES) <= 1 for length in lengths):
            raise SystemExit(f"outputs of {sorted(set(lengths))} pieces, not {OUTPUT_PIECES}")
        rates = [_rate(options, translate, beam, batch) for _ in range(repetitions)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row = {"beam": beam, "batch": batch, "rate": max(rates), "peak_mb": peak}
        print(json.dumps(row), flush=True)


def _rate(
    options: Given, translate: Callable[[list[Source], int], list[int]], beam: int, batch: int
) -> float:
    began = time.process_time()
    done, first = 0, 0
    while done == 0 or time.process_time() - began < options.seconds:
        translate(options.sources[first : first + batch], beam)
        done += batch
        first = (first + batch) % (len(options.sources) - batch)
    return done / (time.process_time() - began)
