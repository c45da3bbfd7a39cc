"""Tokens a second of one continuation and of many together, and the time to the first token.

    OMP_NUM_THREADS=1 python tests/benchmarks/language_model/measure_generation.py

A network of the shipped model's size with random weights, over characters: what is drawn costs the
same. No server, no network: `GenerationEngine` alone.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.generation_options import GenerationOptions
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.text_vocabulary import CharacterVocabulary
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.vocabulary import Vocabulary

V = 6000


def model_of_shipped_size() -> LanguageModel:
    """Two layers of LSTM, 544 and 304 units, 6,000 tokens."""
    characters = [chr(0x4E00 + i) for i in range(V - 2)]
    vocabulary = CharacterVocabulary(Vocabulary(["<unk>", "<eos>", *characters]))
    config = NetworkConfig(vocabulary_size=V, embedding_size=304, hidden_size=544)
    torch.manual_seed(0)
    return LanguageModel(LanguageModelNetwork(config), vocabulary, language="zh")


def first_token_seconds(model: LanguageModel, options: GenerationOptions) -> float:
    """From the prompt's text to the first token, of a prompt of ten tokens."""
    engine = model.engine()
    began = time.perf_counter()
    engine.join("一丁七万丈三上下不与", options, seed=0)
    while not engine.step():
        pass
    return time.perf_counter() - began


def tokens_a_second(model: LanguageModel, options: GenerationOptions, streams: int) -> float:
    """All streams together, over max_tokens steps, prompts not counted."""
    engine = model.engine()
    engine.join("一丁", options, seed=0, samples=streams)
    engine.step()
    began, tokens = time.perf_counter(), 0
    while engine.active:
        tokens += len(engine.step())
    return tokens / (time.perf_counter() - began)


def main() -> None:
    """Prints a row for each number of streams, and what top-p costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = model_of_shipped_size()
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
