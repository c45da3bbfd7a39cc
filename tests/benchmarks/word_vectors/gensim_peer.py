"""Trains gensim's Word2Vec on a file; run by `compare_word2vec.py` in gensim's environment."""

import argparse
import json
import time

import numpy as np
from gensim.models import Word2Vec  # type: ignore[import-not-found]


def main() -> None:
    """Prints seconds by the wall clock and of CPU time as JSON, and saves the vectors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cbow", action="store_true")
    for name in ("dimensions", "window", "negatives", "epochs", "threads", "seed", "min-count"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    model = Word2Vec(
        vector_size=options.dimensions, window=options.window, negative=options.negatives,
        sg=int(not options.cbow), hs=0, sample=1e-3, min_count=options.min_count,
        workers=options.threads, epochs=options.epochs, seed=options.seed,
    )  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    model.build_vocab(corpus_file=options.text)
    prepared, prepared_cpu = time.perf_counter(), time.process_time()
    model.train(
        corpus_file=options.text, total_words=model.corpus_total_words, epochs=options.epochs
    )
    ended, ended_cpu = time.perf_counter(), time.process_time()
    np.save(options.out + ".npy", model.wv.vectors)
    with open(options.out + ".words", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.writelines(f"{word}\n" for word in model.wv.index_to_key)
    figures = {
        "words": model.corpus_total_words * options.epochs,
        "prepare_seconds": prepared - began,
        "prepare_cpu": prepared_cpu - cpu,
        "train_seconds": ended - prepared,
        "train_cpu": ended_cpu - prepared_cpu,
    }
    print(json.dumps(figures))


main()
