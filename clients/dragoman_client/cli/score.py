"""`dragoman score`: how probable each line of a text is to a language model."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
from dragoman_client.cli.json_output import error_values, model_values, print_json
from dragoman_client.cli.reporting import FAILED, CommandError, described, described_item, report
from dragoman_client.cli.text_input import opened, read_batches
from dragoman_client.errors import DragomanClientError
from dragoman_client.lines import Line
from dragoman_client.results import TextScore

_COLUMNS = ("log_prob", "perplexity", "word_perplexity", "bits_per_character")


def score(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", show_default=False, help="UTF-8 text; without it, standard input."
        ),
    ] = None,
    model: ModelName = "",
    tokens: Annotated[
        bool, typer.Option("--tokens", help="With --json: each token with its log-probability.")
    ] = False,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print how probable each line is: a table with tabs between its columns, one row a line.

    Columns: natural log-probability, perplexity per token and per word, bits per character, text.
    What cannot be told, such as the perplexity per word of a blank line, is "-". So
    `dragoman score FILE | sort -n -k 2` puts the likeliest first.
    """
    if tokens and not json:
        raise typer.BadParameter("goes with --json", param_hint="--tokens")
    failures = 0
    with connect(server, timeout) as client, opened(file) as (descriptor, name):
        if not json:
            sys.stdout.write("\t".join((*_COLUMNS, "text")) + "\n")
        for batch in read_batches(descriptor, name):
            texts = [line.text for line in batch]
            try:
                results = client.score_texts(texts, model=model_named(model), return_tokens=tokens)
            except DragomanClientError as error:
                place = f"lines {batch[0].number} to {batch[-1].number}"
                raise CommandError(f"{place}: {described(error)}") from error
            for line, result in zip(batch, results, strict=True):
                (_print_json if json else _print_row)(line, result)
                failures += isinstance(result, DragomanClientError)
            sys.stdout.flush()
    if failures:
        raise typer.Exit(FAILED)


def _print_row(line: Line, result: TextScore | DragomanClientError) -> None:
    if isinstance(result, DragomanClientError):
        report(f"line {line.number}: {described_item(result)}")
        values = ["-"] * len(_COLUMNS)
    else:
        numbers = (getattr(result, name) for name in _COLUMNS)
        # Adding 0.0 makes a plain zero of -0.0.
        values = ["-" if number is None else f"{number + 0.0:.4f}" for number in numbers]
    sys.stdout.write("\t".join((*values, line.text)) + "\n")


def _print_json(line: Line, result: TextScore | DragomanClientError) -> None:
    if isinstance(result, DragomanClientError):
        report(f"line {line.number}: {described_item(result)}")
        print_json(line=line.number, text=line.text, **error_values(result))
        return
    values = asdict(result)
    del values["model"]
    if not result.tokens:
        del values["tokens"]
    print_json(line=line.number, text=line.text, **values, **model_values(result.model))
