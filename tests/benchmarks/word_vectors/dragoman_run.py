"""Trains Dragoman's word2vec on a file; run by `compare_word2vec.py`, as gensim_peer.py is."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dragoman_models.embeddings.training.progress import progress_bar
from dragoman_models.embeddings.training.recipe import Word2VecRecipe, read_recipe
from dragoman_models.embeddings.training.run_folder import RunFolder
from dragoman_models.embeddings.training.text_preparation import prepare_text
from dragoman_models.embeddings.training.word2vec_trainer import Word2VecTrainer


def main() -> None:
    """Prints seconds by the wall clock and of CPU time as JSON, and saves the vectors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cbow", action="store_true")
    parser.add_argument("--shared-negatives", action="store_true")
    parser.add_argument("--learning-rate", type=float)
    names = ("dimensions", "window", "negatives", "epochs", "threads", "seed", "min-count")
    for name in names:
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    settings: dict[str, Any] = {
        n: getattr(options, n) for n in (n.replace("-", "_") for n in names)
    }
    settings |= {
        "corpus": [options.text],
        "tokenization": "white-space",
        "architecture": "cbow" if options.cbow else "skip-gram",
        "shared_negatives": options.shared_negatives,
    }
    if options.learning_rate is not None:
        settings["learning_rate"] = options.learning_rate
    recipe = read_recipe(Word2VecRecipe, None, settings)
    with tempfile.TemporaryDirectory() as folder:
        _compile(recipe, Path(folder))
        print(json.dumps(_train(recipe, Path(folder) / "run", options.out)))


def _compile(recipe: Word2VecRecipe, folder: Path) -> None:
    """The loops are compiled once a machine: that is not the speed of training."""
    text = folder / "few.txt"
    text.write_text("two words\n" * 10)
    few = recipe.model_copy(update={"corpus": (text,)})
    Word2VecTrainer(few, folder / "few").run()


def _train(recipe: Word2VecRecipe, folder: Path, out: str) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    run = RunFolder(folder)
    run.begin(recipe, resume=False)
    with progress_bar() as bar:
        words = prepare_text(recipe, run, bar)
    prepared, prepared_cpu = time.perf_counter(), time.process_time()
    trained = Word2VecTrainer(recipe, folder, resume=True).run()
    ended, ended_cpu = time.perf_counter(), time.process_time()
    np.save(out + ".npy", trained.vectors.index.matrix)
    Path(out + ".words").write_text("".join(f"{word}\n" for word in words.words), encoding="utf-8")
    return {
        "words": words.text_words * recipe.epochs,
        "prepare_seconds": prepared - began,
        "prepare_cpu": prepared_cpu - cpu,
        "train_seconds": ended - prepared,
        "train_cpu": ended_cpu - prepared_cpu,
    }


main()
