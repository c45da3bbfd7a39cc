"""Dragoman's GloVe and Stanford's C program on the same text: speed and quality, run in turns.

    python -m tests.benchmarks.word_vectors.compare_glove --corpus books \\
        --stanford GloVe/build --analogies questions-words.txt \\
        --similarity wordsim353=wordsim353.tsv --similarity simlex999=simlex999.txt

`--stanford` is the folder with its programs `cooccur` and `glove`, which its own Makefile or
`build_stanford_glove.py` builds. Both get the text tokenized
alike and the same vocabulary; Stanford's entries are shuffled by numpy, which is not counted for
it. Only ratios of one run mean something.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from tests.benchmarks.word_vectors.compare_word2vec import report, write_text
from tests.benchmarks.word_vectors.vector_scores import WordSets, read_sets, read_vectors, scores_of

from dragoman_models.embeddings.training.cooccurrence import count_cooccurrences, shuffle_entries
from dragoman_models.embeddings.training.encoded_text import open_ids
from dragoman_models.embeddings.training.glove_trainer import GloveTrainer
from dragoman_models.embeddings.training.progress import progress_bar
from dragoman_models.embeddings.training.recipe import GloveRecipe, read_recipe
from dragoman_models.embeddings.training.run_folder import RunFolder
from dragoman_models.embeddings.training.text_preparation import prepare_text
from dragoman_models.embeddings.training.word_counts import WordCounts

_RECORD = np.dtype([("first", "<i4"), ("second", "<i4"), ("count", "<f8")])


class Clock:
    """Seconds by the wall clock and of CPU time, of this process and those it waited for."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._cpu_now()

    def figures(self, name: str) -> dict[str, float]:
        """What passed since the last call."""
        wall, cpu = time.perf_counter(), self._cpu_now()
        passed = {f"{name}_seconds": wall - self._wall, f"{name}_cpu": cpu - self._cpu}
        self._wall, self._cpu = wall, cpu
        return passed

    def _cpu_now(self) -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system


def run_stanford(
    programs: Path, text: Path, words: WordCounts, recipe: GloveRecipe, seed: int, sets: WordSets
) -> dict[str, float]:
    """Counting and training by the C programs."""
    folder = text.parent
    vocabulary = folder / "vocab.txt"
    pairs = zip(words.words, words.counts.tolist(), strict=True)
    vocabulary.write_text("".join(f"{word} {count}\n" for word, count in pairs), encoding="utf-8")
    counted, shuffled = folder / "cooccur.bin", folder / "shuffled.bin"
    clock = Clock()
    with text.open("rb") as source, counted.open("wb") as target:
        subprocess.run(
            [programs / "cooccur", "-vocab-file", vocabulary, "-window-size", str(recipe.window),
             "-memory", str(recipe.megabytes / 1000), "-overflow-file", folder / "overflow"],
            stdin=source, stdout=target, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    figures = clock.figures("count")
    records = np.fromfile(counted, dtype=_RECORD)
    np.random.default_rng(seed).shuffle(records)
    records.tofile(shuffled)
    clock = Clock()
    subprocess.run(
        [programs / "glove", "-input-file", shuffled, "-vocab-file", vocabulary,
         "-save-file", folder / "stanford", "-vector-size", str(recipe.dimensions),
         "-iter", str(recipe.epochs), "-threads", str(recipe.threads),
         "-x-max", str(recipe.saturation), "-alpha", str(recipe.exponent),
         "-eta", str(recipe.learning_rate)],
        stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    figures |= clock.figures("train")
    figures["entries"] = len(records) * recipe.epochs
    lines = (folder / "stanford.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" ") for line in lines if not line.startswith("<unk>")]
    out = str(folder / "vectors")
    np.save(out + ".npy", np.array([row[1:] for row in rows], dtype=np.float32))
    Path(out + ".words").write_text("".join(f"{row[0]}\n" for row in rows), encoding="utf-8")
    return _with_speed(figures) | scores_of(read_vectors(out), sets)


def run_dragoman(recipe: GloveRecipe, folder: Path, sets: WordSets) -> dict[str, float]:
    """Counting, and then the whole of it again, of which training is kept."""
    counting = folder / "counting"
    run = RunFolder(counting)
    run.begin(recipe, resume=False)
    with progress_bar() as bar:
        prepare_text(recipe, run, bar)
    clock = Clock()
    runs = count_cooccurrences(
        open_ids(run.text), counting, window=recipe.window, megabytes=recipe.megabytes,
        threads=recipe.threads,
    )  # fmt: skip
    shuffle_entries(runs, counting, megabytes=recipe.megabytes, seed=recipe.seed)
    figures = clock.figures("count")
    names = [path.name for path in sorted(counting.glob("entries-*.npy"))]
    (counting / "entries.json").write_text(json.dumps(names))
    clock = Clock()
    trained = GloveTrainer(recipe, counting, resume=True).run()
    figures |= clock.figures("train")
    figures["entries"] = trained.amount
    return _with_speed(figures) | scores_of(trained.vectors, sets)


def _with_speed(figures: dict[str, float]) -> dict[str, float]:
    return figures | {
        "entries_per_second": figures["entries"] / figures["train_seconds"],
        "entries_per_cpu_second": figures["entries"] / figures["train_cpu"],
    }


def main(
    corpus: Annotated[list[Path], typer.Option(help="Text files or folders.")],
    stanford: Annotated[Path, typer.Option(help="The folder of cooccur and glove.")],
    analogies: Annotated[Path | None, typer.Option()] = None,
    similarity: Annotated[list[str] | None, typer.Option(help="NAME=FILE")] = None,
    dimensions: int = 100,
    window: int = 10,
    epochs: int = 25,
    threads: int = 2,
    min_count: int = 5,
    megabytes: int = 2000,
    seeds: int = 3,
    json_file: Annotated[Path | None, typer.Option(help="Where to keep all figures.")] = None,
) -> None:
    """Print the figures of Stanford's GloVe and Dragoman's."""
    sets = read_sets(analogies, similarity or [])
    results: dict[str, list[dict[str, float]]] = {"stanford": [], "dragoman": []}
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "text.txt"
        write_text(corpus, text)
        few = folder / "few.txt"
        few.write_text("two words\n" * 10)
        usual = {
            "tokenization": "white-space", "dimensions": dimensions, "window": window,
            "epochs": epochs, "threads": threads, "min_count": min_count, "megabytes": megabytes,
        }  # fmt: skip
        compiling = read_recipe(GloveRecipe, None, usual | {"corpus": [few], "epochs": 1})
        GloveTrainer(compiling, folder / "few").run()  # the loops are compiled once a machine
        for seed in range(1, seeds + 1):
            recipe = read_recipe(GloveRecipe, None, usual | {"corpus": [text], "seed": seed})
            place = folder / str(seed)
            results["dragoman"].append(run_dragoman(recipe, place, sets))
            words = RunFolder(place / "counting").read_words()
            results["stanford"].append(run_stanford(stanford, text, words, recipe, seed, sets))
            for system, figures in results.items():
                console.print(system, f"seed {seed}", json.dumps(figures[-1]), soft_wrap=True)
    report(results, console)
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
