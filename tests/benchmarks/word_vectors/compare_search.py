"""Dragoman's search of word vectors and others', on the same vectors, queries and one thread.

    python -m tests.benchmarks.word_vectors.compare_search                    # random vectors
    python -m tests.benchmarks.word_vectors.compare_search --vectors glove.6B.50d.txt
    python -m tests.benchmarks.word_vectors.compare_search --vectors BUNDLE --json-file out.json

Each way is run in turns, so that what else the machine does hits all alike, and its median counts.
Only ratios of one run mean something. Exact answers are compared with float64's, and the exit code
is 1 where one differs. In random vectors no word is near another, so the recall of an approximate
index says little there; give real ones for that.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tests.benchmarks.word_vectors.search_peers import (
    Rows,
    Search,
    faiss_peers,
    numpy_peers,
    torch_peers,
)

from dragoman_models.embeddings.approximate_index import ApproximateIndex, ApproximateOptions
from dragoman_models.embeddings.import_vectors import load_word_vectors
from dragoman_models.embeddings.word_queries import Neighbors, SearchMethod, SearchOptions
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.vocabulary import Vocabulary

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
K = 10
BATCH = 64
GOAL_SINGLE_RATIO = 1.15
GOAL_BATCH_QUERIES = 2_000
GOAL_RECALL, GOAL_APPROXIMATE_MS = 0.99, 0.3
BARE = "numpy, bare product"


def random_vectors(words: int, dimensions: int, seed: int) -> WordVectors:
    """Random directions with lengths near 1."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((words, dimensions), dtype=np.float32) / np.sqrt(dimensions)
    return WordVectors(Vocabulary([f"w{i}" for i in range(words)]), matrix.astype(np.float32))


def ours(vectors: WordVectors, k: int) -> dict[str, Search]:
    """The index alone, and the whole way from a vector to named neighbours."""
    options = SearchOptions(k=k)

    def index(queries: Rows) -> object:
        return [found.indices for found in vectors.index.nearest(as_units(queries), k=k)]

    def answers(queries: Rows) -> object:
        found = vectors.nearest(list(queries), options)
        return [rows_of(answer) for answer in found]

    return {"dragoman, index": index, "dragoman": answers}


def as_units(queries: Rows) -> NDArray[np.float64]:
    """The queries scaled to length 1, in float64."""
    wide = queries.astype(np.float64)
    units: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return units


def rows_of(answer: object) -> list[int]:
    """The rows of one answer."""
    assert isinstance(answer, Neighbors), answer
    return [neighbor.rank - 1 for neighbor in answer.neighbors]


def milliseconds(ways: dict[str, Search], batches: list[Rows], repeats: int) -> dict[str, float]:
    """The median time of one call of each way, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        way(batches[0])  # compiles, and warms caches
        times[name].clear()
    for repeat in range(repeats):
        for name, way in ways.items():
            queries = batches[repeat % len(batches)]
            started = time.perf_counter()
            way(queries)
            times[name].append(1_000 * (time.perf_counter() - started))
    return {name: statistics.median(taken) for name, taken in times.items()}


def wrong_answers(vectors: WordVectors, queries: Rows, k: int) -> int:
    """How many of the exact answers are not those of float64 arithmetic."""
    units = vectors.index.unit_rows(slice(0, None))  # (V, D)
    wrong = 0
    for query, found in zip(queries, ours(vectors, k)["dragoman"](queries), strict=True):  # type: ignore[call-overload]
        scores = units @ as_units(query[None])[0]
        best = np.sort(scores)[::-1][:k]
        wrong += not np.allclose(scores[found], best, rtol=0, atol=1e-12)
    return wrong


def approximate(vectors: WordVectors, queries: Rows, k: int, repeats: int) -> dict[str, float]:
    """The time of a single lookup by the HNSW index in ms, and the recall of its answers."""
    started = time.perf_counter()
    if vectors.approximate is None:
        vectors.approximate = ApproximateIndex.build(vectors.index, ApproximateOptions())
    built = time.perf_counter() - started
    options = SearchOptions(k=k, method=SearchMethod.APPROXIMATE)
    exact = [set(rows_of(one)) for one in vectors.nearest(list(queries), SearchOptions(k=k))]
    found = [set(rows_of(one)) for one in vectors.nearest(list(queries), options)]
    hits = sum(len(right & given) for right, given in zip(exact, found, strict=True))

    def single(query: Rows) -> object:
        return vectors.nearest(list(query), options)

    taken = milliseconds({"hnsw": single}, [query[None] for query in queries], repeats)["hnsw"]
    return {"build_seconds": built, "single_ms": taken, "recall": hits / (k * len(queries))}


def table_of(title: str, times: dict[str, float], count: int) -> Table:
    """Times of a call of `count` queries, with their ratios to the bare product."""
    table = Table(title=title)
    for heading in ("", "ms a call", "queries/s", "times the bare product"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, taken in sorted(times.items(), key=lambda item: item[1]):
        rate = 1_000 * count / taken
        table.add_row(name, f"{taken:.3f}", f"{rate:,.0f}", f"{taken / times[BARE]:.2f}")
    return table


def verdicts(
    single: dict[str, float], batch: dict[str, float], hnsw: dict[str, float] | None
) -> list[dict[str, Any]]:
    """Each goal with what was measured."""

    def verdict(goal: str, measured: float, wanted: float, met: bool) -> dict[str, Any]:
        return {"goal": goal, "measured": round(measured, 4), "wanted": wanted, "met": met}

    ratio = single["dragoman"] / single[BARE]
    rate = 1_000 * BATCH / batch["dragoman"]
    found = [
        verdict(
            "exact single lookup, at most this many bare products",
            ratio, GOAL_SINGLE_RATIO, ratio <= GOAL_SINGLE_RATIO,
        ),
        verdict(
            "exact batches of 64, queries/s at least",
            rate, GOAL_BATCH_QUERIES, rate >= GOAL_BATCH_QUERIES,
        ),
    ]  # fmt: skip
    if hnsw is not None:
        recall, taken = hnsw["recall"], hnsw["single_ms"]
        found.append(verdict("HNSW recall@10", recall, GOAL_RECALL, recall >= GOAL_RECALL))
        met = taken <= GOAL_APPROXIMATE_MS
        found.append(verdict("HNSW single lookup, ms at most", taken, GOAL_APPROXIMATE_MS, met))
    return found


def main(
    vectors: Annotated[Path | None, typer.Option(help="A bundle, or a file of vectors.")] = None,
    words: Annotated[int, typer.Option(help="Of the random vectors.")] = 400_000,
    dimensions: Annotated[int, typer.Option(help="Of the random vectors.")] = 50,
    repeats: Annotated[int, typer.Option(help="Calls of each way.")] = 20,
    seed: int = 1,
    hnsw: Annotated[bool, typer.Option(help="Also builds the index, which takes minutes.")] = True,
    json_file: Annotated[Path | None, typer.Option(help="Where to keep all figures.")] = None,
) -> None:
    """Print the times of all ways, and how they stand to the goals."""
    console = Console()
    model = load_word_vectors(vectors) if vectors else random_vectors(words, dimensions, seed)
    rows = np.ascontiguousarray(model.index.unit_rows(slice(0, None)), dtype=np.float32)
    rng = np.random.default_rng(seed)
    # Rows asked for their neighbours, as words are, a little moved so that none is its own answer.
    chosen = rng.choice(min(len(rows), 50_000), (16, BATCH))
    noise = rng.standard_normal((16, BATCH, rows.shape[1])).astype(np.float32)
    asked = list(rows[chosen] + np.float32(0.1 * rows.shape[1] ** -0.5) * noise)
    ways = numpy_peers(rows, K) | torch_peers(rows, K) | faiss_peers(rows, K) | ours(model, K)
    single = milliseconds(ways, [batch[:1] for batch in asked], repeats)
    batch = milliseconds(ways, asked, max(3, repeats // 4))
    wrong = wrong_answers(model, asked[0], K)
    near = approximate(model, np.concatenate(asked[:4]), K, 10 * repeats) if hnsw else None
    size = f"{len(rows):,} x {rows.shape[1]}"
    console.print(table_of(f"one query, {size}", single, 1))
    console.print(table_of(f"batches of {BATCH}, {size}", batch, BATCH))
    found = verdicts(single, batch, near)
    for one in found:
        console.print(f"{'met' if one['met'] else 'MISSED'}: {one['goal']} {one['wanted']:,}: "
                      f"{one['measured']:,}", highlight=False)  # fmt: skip
    console.print(f"exact answers that are not float64's: {wrong} of {BATCH}")
    if json_file is not None:
        report = {"vectors": size, "single_ms": single, "batch_ms": batch, "hnsw": near,
                  "goals": found, "wrong_answers": wrong}  # fmt: skip
        json_file.write_text(json.dumps(report, indent=2) + "\n")
    if wrong:
        raise typer.Exit(1)


def in_one_thread() -> None:
    """Begin again with one thread for all libraries: they read the variables when imported."""
    if any(os.environ.get(name) != "1" for name in _THREADS):
        one = dict.fromkeys(_THREADS, "1")
        arguments = ["-m", "tests.benchmarks.word_vectors.compare_search", *sys.argv[1:]]
        os.execve(sys.executable, [sys.executable, *arguments], os.environ | one)  # noqa: S606


if __name__ == "__main__":
    in_one_thread()
    typer.run(main)
