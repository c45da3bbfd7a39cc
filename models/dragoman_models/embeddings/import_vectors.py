"""Other programs' word vectors into a bundle, and a bundle's vectors into other programs' files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors

from dragoman_models.bundle import check_new_folder, read_bundle
from dragoman_models.embeddings.approximate_index import ApproximateIndex, ApproximateOptions
from dragoman_models.embeddings.cosine_index import CosineIndex
from dragoman_models.embeddings.family import WORD_VECTORS
from dragoman_models.embeddings.formats.imported import ImportedVectors, ReadOptions
from dragoman_models.embeddings.formats.vector_file import VectorFormat, read_vectors
from dragoman_models.embeddings.formats.vector_writer import ExportFormat, write_vectors
from dragoman_models.embeddings.import_card import import_card
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.subwords import SubwordVectors
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import BundleError, InvalidInputError
from dragoman_models.registry import load_model
from dragoman_models.vocabulary import Vocabulary

_RECALL_QUERIES = 1_000
_RECALL_AT = 10


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How vectors are read and stored, and what the card says of them.

    `index` builds an index for approximate search; it takes minutes for some hundred thousand
    words. `origin`, `license` and `languages` are what the card and config.json say. `on_indexed`
    is told how many more words, of how many, are in the index.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    file_format: VectorFormat | None = None  # None: told by the contents
    encoding: VectorEncoding = VectorEncoding.FLOAT32
    index: ApproximateOptions | None = None
    origin: str = ""
    license: str = ""
    languages: tuple[str, ...] = ()
    on_indexed: Callable[[int, int], None] = lambda _, __: None


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What was imported. `recall` is the share of the 10 nearest words that the index finds."""

    imported: ImportedVectors
    recall: float | None


def import_vectors(source: Path, out: Path, options: ImportOptions) -> ImportReport:
    """Read the file `source` and write the bundle `out` (NAME/VERSION).

    Raises `InvalidInputError` that says where the file is wrong, `BundleError`, and
    ModuleNotFoundError where an index is wanted and faiss is not installed.
    """
    check_new_folder(out)  # now, rather than after minutes of work
    imported = read_vectors(source, options.read, file_format=options.file_format)
    vectors = _word_vectors(source, imported)
    metrics: dict[str, object] = {}
    recall = None
    if options.index is not None:
        total = vectors.vocabulary_size
        vectors.approximate = ApproximateIndex.build(
            vectors.index, options.index, lambda count: options.on_indexed(count, total)
        )
        recall = index_recall(vectors.index, vectors.approximate)
        metrics["approximate_index"] = {
            f"recall_at_{_RECALL_AT}": round(recall, 4),
            "queries": min(_RECALL_QUERIES, vectors.vocabulary_size),
        }
    report = ImportReport(imported=imported, recall=recall)
    write_word_vectors(
        out,
        vectors,
        encoding=options.encoding,
        details=_details(source, options),
        metrics=metrics,
        card=import_card(_facts(source, out, options, report)),
    )
    return report


def export_vectors(
    folder: Path,
    out: Path,
    export_format: ExportFormat,
    on_written: Callable[[int, int], None] = lambda _, __: None,
) -> int:
    """Write the vectors of the bundle in `folder` to the file `out`; returns how many words.

    Subwords and index have no place in these formats. `on_written` is told how many more words, of
    how many, are written. Raises `BundleError` and `InvalidInputError`.
    """
    model = load_word_vectors(folder)
    total = model.vocabulary_size
    write_vectors(
        out, model.vocabulary, model.index.matrix, export_format,
        lambda count: on_written(count, total),
    )  # fmt: skip
    return total


def load_word_vectors(path: Path, options: ReadOptions | None = None) -> WordVectors:
    """The vectors at `path`: a bundle's folder, or a file in any of the formats that can be read.

    `options` are for a file. Raises `BundleError` and `InvalidInputError`.
    """
    if not path.is_dir():
        return _word_vectors(path, read_vectors(path, options))
    bundle = read_bundle(path)
    model = load_model(bundle)
    if not isinstance(model, WordVectors):
        raise BundleError(path, f"is a model of the family {bundle.family}, not {WORD_VECTORS}")
    return model


def index_recall(rows: CosineIndex, index: ApproximateIndex) -> float:
    """The share of the 10 nearest rows that `index` finds, over 1,000 rows spread evenly."""
    step = max(1, rows.size // _RECALL_QUERIES)
    asked = np.array([row for row in range(0, rows.size, step) if not rows.is_zero(row)])
    queries = rows.unit_rows(asked[:_RECALL_QUERIES])
    wanted = min(_RECALL_AT, rows.size)
    exact = rows.nearest(queries, k=wanted)
    proposed = index.candidates(queries, k=wanted, row_limit=rows.size)
    found = rows.best_of(proposed, queries, k=wanted, floor=-np.inf)
    hits = [
        np.isin(right.indices, rows_found.indices).mean()
        for right, rows_found in zip(exact, found, strict=True)
    ]
    return float(np.mean(hits))


def _word_vectors(source: Path, imported: ImportedVectors) -> WordVectors:
    try:
        return WordVectors(Vocabulary(imported.words), imported.matrix, subwords=imported.subwords)
    except ValueError as error:
        raise InvalidInputError.single(str(source), str(error)) from error


def _details(source: Path, options: ImportOptions) -> dict[str, object]:
    return {
        "description": f"Word vectors imported from {source.name}.",
        "license": options.license,
        "source_languages": list(options.languages),
        "source": {"file": source.name, "origin": options.origin},
        "libraries": {"numpy": np.__version__, "safetensors": safetensors.__version__},
    }


def _facts(
    source: Path, out: Path, options: ImportOptions, report: ImportReport
) -> dict[str, object]:
    imported = report.imported
    return {
        "name": out.absolute().parent.name,
        "file": source.name,
        "origin": options.origin or "not stated",
        "license": options.license or "not stated: ask whoever published the vectors",
        "words": f"{len(imported.words):,}",
        "dimensions": imported.matrix.shape[1],
        "encoding": options.encoding.value,
        "dropped": f"{imported.dropped_count:,}",
        "subwords": "none" if imported.subwords is None else _described(imported.subwords),
        "index": "none"
        if report.recall is None
        else f"recall@{_RECALL_AT} {report.recall:.4f} against exact search",
    }


def _described(table: SubwordVectors) -> str:
    return f"{table.bucket_count:,} rows for n-grams of {table.shortest} to {table.longest}"
