"""`dragoman evaluate`: translates a file and scores it against its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    ModelName,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.json_output import model_values, print_json
from dragoman_client.cli.progress import progress
from dragoman_client.cli.reporting import FAILED, CommandError, described_item, report
from dragoman_client.cli.text_input import read_lines
from dragoman_client.cli.translation_options import BeamWidth, LengthPenalty, Normalization
from dragoman_client.evaluation import TranslatedCorpus, score_corpus, translate_corpus
from dragoman_client.lines import TranslatedLine
from dragoman_client.options import TranslationOptions
from dragoman_client.results import ModelVersion, TranslationScores

SourceFile = Annotated[
    Path, typer.Option("--source", metavar="FILE", help="Texts, UTF-8, one a line.")
]
ReferenceFile = Annotated[
    Path, typer.Option("--reference", metavar="FILE", help="Their translations, line by line.")
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Where to keep the translations.")
]


def evaluate(
    source: SourceFile,
    reference: ReferenceFile,
    output: OutputFile = None,
    model: ModelName = "",
    beam_width: BeamWidth = None,
    length_normalization: Normalization = None,
    length_penalty: LengthPenalty = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Translate a file and print BLEU, chrF and TER against its reference, as sacreBLEU does.

    A line that could not be translated counts as an empty translation and is reported.
    """
    sources, references = _read(source, reference)
    options = TranslationOptions(
        beam_width=beam_width,
        length_normalization=length_normalization,
        length_penalty=length_penalty,
    )
    with connect(server, timeout) as client, ExitStack() as stack:
        kept = None if output is None else stack.enter_context(_created(output))
        advance = stack.enter_context(progress())

        def on_translated(batch: Sequence[TranslatedLine]) -> None:
            if kept is not None:
                kept.writelines(f"{line.text}\n" for line in batch)
            advance("translating", len(batch), len(sources))

        corpus = translate_corpus(
            client, sources, model=model_named(model), options=options, on_translated=on_translated
        )
        scores = score_corpus(client, corpus.hypotheses, references)
    _print_scores(corpus.model, scores, errors=len(corpus.errors), json=json)
    _report_errors(corpus, source)


def _read(source: Path, reference: Path) -> tuple[list[str], list[str]]:
    """The lines of both files, which must be as many, none of the reference's blank."""
    sources, references = read_lines(source), read_lines(reference)
    if len(sources) != len(references):
        raise CommandError(
            f"{source} has {len(sources):,} lines and {reference} has {len(references):,}; "
            "give one reference for each source"
        )
    if not sources:
        raise CommandError(f"{source} and {reference} are empty; give at least one line")
    for number, line in enumerate(references, start=1):
        if not line.strip():
            raise CommandError(f"{reference}, line {number}: is blank; give the translation")
    return sources, references


@contextmanager
def _created(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
    with file:
        yield file


def _print_scores(
    model: ModelVersion | None, scores: TranslationScores, *, errors: int, json: bool
) -> None:
    metrics = {"bleu": scores.bleu, "chrf": scores.chrf, "ter": scores.ter}
    if json:
        values = {} if model is None else model_values(model)
        print_json(**values, segments=scores.segment_count, errors=errors, **metrics)
        return
    for label, score in zip(("BLEU", "chrF2", "TER"), metrics.values(), strict=True):
        if score is not None:
            typer.echo(f"{label}\t{score.score:.2f}\t{score.signature}")


def _report_errors(corpus: TranslatedCorpus, source: Path) -> None:
    for index, error in corpus.errors.items():
        report(f"{source}, line {index + 1}: {described_item(error)}")
    if corpus.errors:
        raise typer.Exit(FAILED)
