"""Tokens a second of one continuation and of many together, and the time to the first token.

    OMP_NUM_THREADS=1 python tests/benchmarks/language_model/measure_generation.py

The shipped model, or that of `--bundle`. No server, no network: `GenerationEngine` alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import cast

import torch

import dragoman_models
from dragoman_models.bundle import read_bundle
from dragoman_models.language_model.generation_options import GenerationOptions
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.registry import load_model
from dragoman_models.search.sampling_options import SamplingOptions

SHIPPED = Path(dragoman_models.__path__[0]) / "pretrained" / "english-lstm" / "1"
PROMPT = "Once upon a time there was an old man who"


def first_token_seconds(model: LanguageModel, options: GenerationOptions) -> float:
    """From the prompt's text to the first token, of a prompt of about ten tokens."""
    engine = model.engine()
    began = time.perf_counter()
    engine.join(PROMPT, options, seed=0)
    while not engine.step():
        pass
    return time.perf_counter() - began


def tokens_a_second(model: LanguageModel, options: GenerationOptions, streams: int) -> float:
    """All streams together, over max_tokens steps, prompts not counted."""
    engine = model.engine()
    engine.join(PROMPT, options, seed=0, samples=streams)
    engine.step()
    began, tokens = time.perf_counter(), 0
    while engine.active:
        tokens += len(engine.step())
    return tokens / (time.perf_counter() - began)


def main() -> None:
    """Prints a row for each number of streams, and what top-p costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = cast("LanguageModel", load_model(read_bundle(arguments.bundle)))
    for name, sampling in (("plain", SamplingOptions()), ("top-p", SamplingOptions(top_p=0.9))):
        options = GenerationOptions(
            sampling=sampling, max_tokens=arguments.tokens, min_tokens=arguments.tokens
        )
        first_token_seconds(model, options)
        first = statistics.median(
            first_token_seconds(model, options) for _ in range(arguments.rounds)
        )
        print(f"{name}: first token after {first * 1e3:.1f} ms")
        speeds: dict[int, list[float]] = {1: [], 8: [], 32: []}
        for _ in range(arguments.rounds):
            for streams, found in speeds.items():
                found.append(tokens_a_second(model, options, streams))
        for streams, found in speeds.items():
            speed = statistics.median(found)
            ratio = speed / statistics.median(speeds[1])
            print(f"{name}: {streams:3} streams {speed:8,.0f} tokens/s, {ratio:5.1f} times one")


if __name__ == "__main__":
    main()
