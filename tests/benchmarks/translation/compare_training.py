"""Speed of training a translator beside JoeyNMT's, one thread.

    python -m tests.benchmarks.translation.compare_training [--peers FOLDER]

Shape, vocabulary and FOLDER as in `compare_speed`; batches of 64 pairs of 15 pieces and an end,
multiplicative attention, input feeding, no dropout; per second of CPU time, the best of three
repetitions of five steps, contestants in turn, twice.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.translation.compare_speed import Contestant, machine, run
from tests.benchmarks.translation.sources import TOKENIZER, write_sources

from dragoman_models.tokenizer import SubwordTokenizer

CONTESTANTS = tuple(
    Contestant(name=f"{name}, {variant}", script=script, variant=variant, environment=environment)
    for name, script, environment in (
        ("JoeyNMT", "bench_training_joeynmt", "joeynmt"),
        ("Dragoman", "bench_training_dragoman", None),
    )
    for variant in ("fp32", "bf16")
)


def main() -> None:
    """Prints target pieces a second, and how many times the first contestant's they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, default=os.environ.get("DRAGOMAN_PEERS"))
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as work:
        sources = Path(work) / "sources.json"
        write_sources(SubwordTokenizer(TOKENIZER.read_bytes()), sources)
        for one in CONTESTANTS * options.rounds:
            python = Path(sys.executable)
            if one.environment is not None:
                python = Path(options.peers or "none") / one.environment / "bin/python"
                if not python.exists():
                    continue
            (row,) = run(one, python, sources, Path(work))
            print(f"{one.name:22} {row['pieces_per_second']:8,.0f}", flush=True)
            best[one.name] = max(best.get(one.name, 0.0), row["pieces_per_second"])
    print(machine())
    first = next(iter(best.values()))
    for name, rate in best.items():
        print(f"{name:22} {rate:8,.0f} target pieces/s, {rate / first:5.2f} times the first")


if __name__ == "__main__":
    main()
