"""How fast word vectors are read from text, from a binary file and from a bundle.

    python -m tests.benchmarks.word_vectors.measure_formats --words 400000 --dimensions 100

Makes its own files: normal numbers with five decimals, as GloVe's have. Reading is set beside what
bounds it: reading the bytes of the same file, and, for a bundle, computing its checksum. Times are
the best of some runs with the files in the page cache.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from dragoman_models.embeddings.formats.vector_file import read_vectors
from dragoman_models.embeddings.formats.vector_writer import ExportFormat, write_vectors
from dragoman_models.embeddings.import_vectors import (
    ImportOptions,
    import_vectors,
    load_word_vectors,
)
from dragoman_models.embeddings.quantization import VectorEncoding

_ROWS_AT_ONCE = 1 << 12


def best_seconds(work: Callable[[], object], runs: int) -> float:
    """The shortest of `runs` runs, by the wall clock."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def write_text(path: Path, matrix: np.ndarray) -> None:
    """A text file as GloVe's."""
    line = " ".join(["word%d", *["%.5f"] * matrix.shape[1]]) + "\n"
    with path.open("w") as file:
        for start in range(0, len(matrix), _ROWS_AT_ONCE):
            rows = enumerate(matrix[start : start + _ROWS_AT_ONCE].tolist(), start)
            file.writelines(line % (number, *row) for number, row in rows)


def measure_files(folder: Path, matrix: np.ndarray, runs: int) -> dict[str, float]:
    """Text and word2vec's binary: megabytes (10^6 bytes) a second."""
    text, binary = folder / "vectors.txt", folder / "vectors.bin"
    write_text(text, matrix)
    words = [f"word{number}" for number in range(len(matrix))]
    write_vectors(binary, words, matrix, ExportFormat.WORD2VEC_BINARY)
    few = folder / "few.txt"
    write_text(few, matrix[:10])
    read_vectors(few)  # the loops are compiled once a machine
    figures: dict[str, float] = {}
    for name, path in (("text", text), ("binary", binary)):
        megabytes = path.stat().st_size / 1e6
        seconds = best_seconds(partial(read_vectors, path), runs)
        bare = best_seconds(path.read_bytes, runs)
        figures |= {
            f"{name}_megabytes": megabytes,
            f"{name}_seconds": seconds,
            f"{name}_megabytes_per_second": megabytes / seconds,
            f"{name}_bare_reading_megabytes_per_second": megabytes / bare,
        }
    return figures


def measure_bundles(folder: Path, runs: int) -> dict[str, float]:
    """Seconds to load a bundle, checked and ready to answer, for each encoding."""
    figures: dict[str, float] = {}
    for encoding in VectorEncoding:
        bundle = folder / encoding.value / "1"
        import_vectors(folder / "vectors.bin", bundle, ImportOptions(encoding=encoding))
        weights = bundle / "weights.safetensors"
        checksum = best_seconds(partial(_sha256, weights), runs)
        name = f"bundle_{encoding.value.replace('-', '_')}"
        figures |= {
            f"{name}_load_seconds": best_seconds(partial(load_word_vectors, bundle), runs),
            f"{name}_bare_checksum_seconds": checksum,
        }
    return figures


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(
    words: Annotated[int, typer.Option(min=10)] = 400_000,
    dimensions: Annotated[int, typer.Option(min=1)] = 100,
    runs: Annotated[int, typer.Option(min=1)] = 3,
    json_file: Annotated[Path | None, typer.Option(help="Where to keep all figures.")] = None,
) -> None:
    """Print the figures."""
    matrix = np.random.default_rng(1).standard_normal((words, dimensions)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = measure_files(folder, matrix, runs) | measure_bundles(folder, runs)
    console = Console()
    for figure, value in figures.items():
        console.print(f"{figure}\t{value:,.3f}", highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
