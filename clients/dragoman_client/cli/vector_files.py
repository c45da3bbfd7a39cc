"""`dragoman import-vectors` and `export-vectors`: between other programs' files and bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import chosen, reported_model_errors
from dragoman_client.cli.progress import progress
from dragoman_client.cli.reporting import report

File = Annotated[Path, typer.Argument(metavar="FILE", help="Word vectors, plain or gzip.")]
NewBundle = Annotated[Path, typer.Option(metavar="NAME/VERSION", help="The bundle to write.")]
FileFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", show_default="told by the contents",
        help="text (GloVe, word2vec, fastText .vec), word2vec-binary or fasttext-binary.",
    ),
]  # fmt: skip
Encoding = Annotated[
    str,
    typer.Option(
        metavar="ENCODING",
        help="float32 (loads at once), int16-rows or int8-rows (smaller), in the bundle.",
    ),
]
Index = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="hnsw or ivf: also build an index for approximate search; takes minutes.",
    ),
]
Words = Annotated[int | None, typer.Option(min=1, metavar="N", help="Read only the first N words.")]
Duplicates = Annotated[
    str, typer.Option(metavar="CHOICE", help="keep-first, or refuse a file that has any.")
]
InvalidUtf8 = Annotated[
    str, typer.Option(metavar="CHOICE", help="refuse, or replace what is wrong by U+FFFD.")
]
License = Annotated[str, typer.Option(metavar="SPDX", help="The vectors' licence: for the card.")]
Origin = Annotated[
    str, typer.Option(metavar="TEXT", help="Where the file came from: for the card.")
]
Language = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="BCP 47, such as en; repeatable.")
]


def import_vectors(
    file: File,
    out: NewBundle,
    file_format: FileFormat = None,
    encoding: Encoding = "float32",
    index: Index = None,
    words: Words = None,
    duplicates: Duplicates = "keep-first",
    invalid_utf8: InvalidUtf8 = "refuse",
    license: License = "",  # noqa: A002
    origin: Origin = "",
    language: Language = None,
) -> None:
    """Read GloVe, word2vec or fastText vectors and write them as a bundle, ready to be served."""
    with needs_extra("models"):
        from dragoman_models.embeddings import import_vectors as importing
        from dragoman_models.embeddings.approximate_index import ApproximateOptions, IndexKind
        from dragoman_models.embeddings.formats import imported
        from dragoman_models.embeddings.formats.vector_file import VectorFormat
        from dragoman_models.embeddings.quantization import VectorEncoding
    kind = None if index is None else chosen(IndexKind, index, "--index")
    known_format = None if file_format is None else chosen(VectorFormat, file_format, "--format")
    size = file.stat().st_size  # raises OSError, which is reported, where there is no file
    with progress() as advance, reported_model_errors(), needs_extra("ann"):
        read = imported.ReadOptions(
            words=words,
            duplicates=chosen(imported.DuplicateWords, duplicates, "--duplicates"),
            invalid_utf8=chosen(imported.InvalidUtf8, invalid_utf8, "--invalid-utf8"),
            on_read=lambda count: advance("reading bytes", count, size),
        )
        options = importing.ImportOptions(
            read=read,
            file_format=known_format,
            encoding=chosen(VectorEncoding, encoding, "--encoding"),
            index=None if kind is None else ApproximateOptions(kind=kind),
            origin=origin,
            license=license,
            languages=tuple(language or ()),
            on_indexed=lambda count, total: advance("indexing words", count, total),
        )
        done = importing.import_vectors(file, out, options)
    _report_import(done)
    typer.echo(out)


def _report_import(done: Any) -> None:
    imported = done.imported
    rows, width = imported.matrix.shape
    subwords = "" if imported.subwords is None else ", with subwords for unknown words"
    report(f"{rows:,} words of {width} dimensions{subwords}")
    for word in imported.dropped:
        report(f"left out {word.word!r} at {word.line:,}: the word stands before")
    if imported.dropped_count > len(imported.dropped):
        report(f"left out {imported.dropped_count:,} repeated words in all")
    if done.recall is not None:
        report(f"the index finds {100 * done.recall:.2f} % of the 10 nearest words")


def export_vectors(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder NAME/VERSION.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The file to write; packed if it ends in .gz.")
    ],
    file_format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT",
            help="glove-text, word2vec-text, word2vec-binary or fasttext-vec.",
        ),
    ] = "word2vec-text",
) -> None:  # fmt: skip
    """Write the vectors of a bundle in another program's format."""
    with needs_extra("models"):
        from dragoman_models.embeddings.formats.vector_writer import ExportFormat
        from dragoman_models.embeddings.import_vectors import export_vectors as export_bundle
    export_format = chosen(ExportFormat, file_format, "--format")
    with progress() as advance, reported_model_errors():
        count = export_bundle(
            bundle, out, export_format,
            lambda count, total: advance("writing words", count, total),
        )  # fmt: skip
    report(f"{count:,} words")
    typer.echo(out)
