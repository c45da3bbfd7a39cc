"""Milliseconds from a call of Generate to its first token, by the client, from a server of its own.

    python -m tests.benchmarks.language_model.measure_first_token [--rounds 30]

The server has all shipped models; the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from tests.benchmarks.serving.serving_run import running_server

from dragoman_client import Client, GenerationChunk, GenerationOptions

MODELS = ("english-gru", "english-lstm")


def first_token_seconds(client: Client, model: str, seed: int) -> float:
    """Of one call, which is then given up."""
    options = GenerationOptions(seed=seed, max_tokens=20, top_p=0.9)
    began = time.perf_counter()
    for event in client.generate("Once upon a time", model=model, options=options):
        if isinstance(event, GenerationChunk):
            return time.perf_counter() - began
    raise SystemExit("the text had no token")


def main() -> None:
    """Prints the median and the greatest for each shipped language model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    cores = range(os.cpu_count() or 1)
    with running_server("", list(cores)) as (address, _), Client(address, timeout=60) as client:
        client.wait_until_ready()
        for model in MODELS:
            first_token_seconds(client, model, seed=0)
            found = []
            for seed in range(options.rounds):
                found.append(first_token_seconds(client, model, seed) * 1e3)
                time.sleep(0.05)  # until the server has forgotten the last one
            print(f"{model}: median {statistics.median(found):.1f} ms, most {max(found):.1f} ms")


if __name__ == "__main__":
    main()
