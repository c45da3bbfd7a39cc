"""Where Dragoman's time goes at beam 5, batch 64, beside what the products alone would take.

The variant is as in `bench_dragoman.py`. Prints a line of JSON for each part: its share of the CPU
time, milliseconds a sentence, and the milliseconds that its products take at the highest rate that
the same innermost loop reaches on operands in the nearest cache.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.benchmarks.translation.bench_dragoman import options_of, random_translator
from tests.benchmarks.translation.workload import given

from dragoman_models.translation.arithmetic import encoder, layers, network, shortlisting
from dragoman_models.translation.arithmetic.packing import Precision

_BEAM, _BATCH = 5, 64
_ROWS = 100
Products = Callable[[tuple[Any, ...]], float]


def recurrent_products(arguments: tuple[Any, ...]) -> float:
    """Multiplications of a decoder step: of parents with both matrices."""
    return float(len(arguments[0]) * (arguments[8].size + arguments[12].size))


def output_products(arguments: tuple[Any, ...]) -> float:
    """Multiplications of the output layer: each group of rows with its panels."""
    ends, panels, weights = arguments[1:4]
    rows = np.diff(ends, prepend=0)
    return float((rows * (panels[:, 1] - panels[:, 0])).sum() * weights[0].size)


def encoder_products(arguments: tuple[Any, ...]) -> float:
    """Multiplications of one direction: of every token."""
    return float(arguments[1].sum() * arguments[5].size)


def attention_products(arguments: tuple[Any, ...]) -> float:
    """Multiplications of scores and averages, in float32."""
    queries, sentences, keys, values, lengths = arguments[:5]
    places = len(queries) // len(sentences)
    return float(places * lengths[sentences].sum() * (keys.shape[2] + values.shape[2]))


# The function in its module; whether its products are in float32 always; how many there are.
PARTS: dict[str, tuple[Any, str, Products | None]] = {
    "decoder: gates and state": (network, "decoder_gru", recurrent_products),
    "attention": (network, "attend", attention_products),
    "attentional vector": (
        network, "attentional_vectors", lambda a: float(len(a[6]) * a[1].size),
    ),
    "output layer and best tokens": (network, "best_tokens", output_products),
    "encoder: gates and states": (encoder, "encoder_gru", encoder_products),
    "keys, values, first state": (layers, "linear", lambda a: float(len(a[6]) * a[1].size)),
    "packing of shortlists": (shortlisting, "gather_outputs", None),
    "fetching of embedded gates": (network, "prefetch_rows", None),
}  # fmt: skip


def _weights(outputs: int, inputs: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((outputs, inputs)).astype(np.float32)


def highest_rate(precision: Precision) -> float:
    """Multiplications a second of the innermost loop, at the sizes that suit it best."""
    best = 0.0
    for inputs in (256, 512, 1024):
        layer = layers.DenseLayer(_weights(64, inputs), None, precision)
        values = np.random.default_rng(0).uniform(-1, 1, (_ROWS, inputs)).astype(np.float32)
        codes = precision.rounded(values)
        for _ in range(30):
            began = time.thread_time()
            for _ in range(50):
                layer(codes, _ROWS)
            best = max(best, 50 * _ROWS * 64 * inputs / (time.thread_time() - began))
    return best


class Stopwatch:
    """Adds up time and products of the parts, in place of whose functions it stands."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.products: dict[str, float] = defaultdict(float)
        for name, (module, function, products) in PARTS.items():
            setattr(module, function, self._timed(name, getattr(module, function), products))

    def _timed(self, name: str, call: Any, products: Products | None) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            began = time.thread_time()
            call(*arguments)
            self.seconds[name] += time.thread_time() - began
            self.products[name] += products(arguments) if products else 0.0

        return timed


def main() -> None:
    """Prints a row for each part, and the rest: text, the search, and what calls cost."""
    arguments = given()
    texts = [one.text for one in arguments.sources]
    translator = random_translator(arguments.variant, arguments.work)
    precision = Precision(arguments.variant.split("-")[1])
    translator.translate(texts[:_BATCH], options_of(_BEAM))
    rates = {one: highest_rate(one) for one in {precision, Precision.FLOAT32}}
    watch = Stopwatch()
    began, done = time.thread_time(), 0
    while time.thread_time() - began < 4 * arguments.seconds:
        first = done % (len(texts) - _BATCH)
        translator.translate(texts[first : first + _BATCH], options_of(_BEAM))
        done += _BATCH
    whole = time.thread_time() - began
    watch.seconds["text, search and calls"] = whole - sum(watch.seconds.values())
    limits = {
        name: products / rates[Precision.FLOAT32 if name == "attention" else precision]
        for name, products in watch.products.items()
    }
    parts = sorted(watch.seconds.items(), key=lambda item: -item[1])
    for name, seconds in [*parts, ("all", whole)]:
        limit = sum(limits.values()) if name == "all" else limits.get(name, 0.0)
        row = {
            "part": name,
            "share": seconds / whole,
            "ms": 1e3 * seconds / done,
            "limit_ms": 1e3 * limit / done,
            "giga_products": rates[precision] / 1e9,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
