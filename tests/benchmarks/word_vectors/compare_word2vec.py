"""Dragoman's word2vec and gensim's on the same text: speed and quality, run in turns.

    python -m tests.benchmarks.word_vectors.compare_word2vec --corpus books \\
        --gensim-python GENSIM_VENV/bin/python --analogies questions-words.txt \\
        --similarity wordsim353=wordsim353.tsv --similarity simlex999=simlex999.txt

Both get the text tokenized alike, and gensim reads it in its fastest way (corpus_file). Words a
second are words of the text times epochs; CPU time is that of the whole process, all threads. Only
ratios of one run mean something.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tests.benchmarks.word_vectors.vector_scores import WordSets, read_sets, read_vectors, scores_of

from dragoman_models.embeddings.training.text_stream import Tokenization, corpus_files, read_tokens

_HERE = Path(__file__).parent


def write_text(corpus: list[Path], path: Path) -> None:
    """The corpus as lowercase words with spaces between, one paragraph a line."""
    with path.open("w", encoding="utf-8") as file:
        for tokens in read_tokens(corpus_files(corpus), Tokenization.WORDS):
            file.write(" ".join(tokens).replace(" \n ", "\n").replace("\n ", "\n") + " ")


def run(command: list[str], out: str, sets: WordSets) -> dict[str, float]:
    """One training: its times and its scores."""
    done = subprocess.run([*command, "--out", out], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[1]} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    figures["words_per_second"] = figures["words"] / figures["train_seconds"]
    figures["words_per_cpu_second"] = figures["words"] / figures["train_cpu"]
    return figures | scores_of(read_vectors(out), sets)


def report(results: dict[str, list[dict[str, float]]], console: Console) -> None:
    """Means over the seeds, and what they are of gensim's."""
    table = Table(title="means over the seeds")
    table.add_column("figure")
    for name in results:
        table.add_column(name, justify="right")
    first = next(iter(results))
    for figure in results[first][0]:
        means = {n: statistics.mean(r[figure] for r in runs) for n, runs in results.items()}
        cells = []
        for mean in means.values():
            scale = "" if not means[first] else f" ({mean / means[first]:.2f} x)"
            cells.append(f"{mean:,.2f}{scale}")
        table.add_row(figure, *cells)
    console.print(table)


def main(
    corpus: Annotated[list[Path], typer.Option(help="Text files or folders.")],
    gensim_python: Annotated[Path, typer.Option(help="An interpreter that has gensim.")],
    analogies: Annotated[Path | None, typer.Option()] = None,
    similarity: Annotated[list[str] | None, typer.Option(help="NAME=FILE")] = None,
    dimensions: int = 100,
    window: int = 5,
    negatives: int = 5,
    epochs: int = 5,
    threads: int = 2,
    min_count: int = 5,
    seeds: int = 3,
    cbow: bool = False,
    shared: Annotated[bool, typer.Option(help="Also with negatives shared in a window.")] = True,
    learning_rate: Annotated[float | None, typer.Option(help="Dragoman's.")] = None,
    json_file: Annotated[Path | None, typer.Option(help="Where to keep all figures.")] = None,
) -> None:
    """Print the figures of gensim, Dragoman, and Dragoman with shared negatives."""
    sets = read_sets(analogies, similarity or [])
    ours = [sys.executable, str(_HERE / "dragoman_run.py")]
    systems: dict[str, list[str]] = {
        "gensim": [str(gensim_python), str(_HERE / "gensim_peer.py")],
        "dragoman": ours,
    }
    if shared:
        systems["dragoman, shared"] = [*ours, "--shared-negatives"]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        write_text(corpus, text)
        settings: dict[str, Any] = {
            "text": text, "dimensions": dimensions, "window": window, "negatives": negatives,
            "epochs": epochs, "threads": threads, "min-count": min_count,
        }  # fmt: skip
        for seed in range(1, seeds + 1):
            for name, command in systems.items():
                flags = [f"--{key}={value}" for key, value in settings.items()]
                flags += ["--cbow"] if cbow else []
                if learning_rate is not None and command[0] == sys.executable:
                    flags.append(f"--learning-rate={learning_rate}")
                out = str(Path(folder) / "vectors")
                figures = run([*command, *flags, f"--seed={seed}"], out, sets)
                results[name].append(figures)
                console.print(name, f"seed {seed}", json.dumps(figures), soft_wrap=True)
    report(results, console)
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
