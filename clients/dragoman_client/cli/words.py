"""`dragoman similarity`, `nearest` and `analogy`: words compared by their vectors."""

from __future__ import annotations

import sys
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
from dragoman_client.cli.search_options import (
    AnalogyMethodName,
    Approximate,
    Count,
    Excluded,
    Lookup,
    MaxRank,
    Method,
    MinScore,
    Minus,
    Plus,
    QueryFile,
    search_options,
    weighted_words,
)
from dragoman_client.cli.text_input import opened, read_batches
from dragoman_client.client import Client
from dragoman_client.errors import DragomanClientError
from dragoman_client.lines import Line
from dragoman_client.options import SearchOptions
from dragoman_client.requests.fields import Model
from dragoman_client.responses import ItemResult
from dragoman_client.results import Neighbors, ResolvedWord, WordMatch


def similarity(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    lookup: Lookup = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print how alike two words are: the cosine of their vectors, from -1 to 1."""
    with connect(server, timeout) as client:
        answer = client.similarity(first, second, model=model_named(model), lookup=lookup)
    _mention_other_case([first, second], [answer.first, answer.second])
    if json:
        print_json(words=[answer.first, answer.second], cosine=answer.cosine,
                   **model_values(answer.model))  # fmt: skip
    else:
        typer.echo(f"{answer.cosine:.4f}")


def nearest(
    word: Annotated[str | None, typer.Argument(metavar="WORD", show_default=False)] = None,
    plus: Plus = None,
    minus: Minus = None,
    file: QueryFile = None,
    k: Count = 10,
    exclude: Excluded = None,
    max_rank: MaxRank = None,
    min_score: MinScore = None,
    approximate: Approximate = False,
    lookup: Lookup = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print the words nearest to a word, or to a sum of words, each with its cosine.

    With --file there is one line of output for each line of the file: the word and its neighbours,
    with tabs between; an empty one for a blank line, and for one that failed, which is reported on
    standard error.
    """
    summed = bool(plus or minus)
    if (word is not None) + summed + (file is not None) != 1:
        raise typer.BadParameter("give one of WORD, --file, and --plus with --minus")
    options = search_options(
        k=k,
        lookup=lookup,
        exclude=exclude,
        max_rank=max_rank,
        min_score=min_score,
        approximate=approximate,
    )
    with connect(server, timeout) as client:
        if file is not None:
            _print_lines(client, file, model_named(model), options, json=json)
            return
        total = weighted_words(plus or [], minus or [])
        query = total if word is None else word
        answer = client.nearest(query, model=model_named(model), options=options)
    words = [one for one, _ in total.terms] if word is None else [word]
    _print_neighbors(words, answer, json=json)


def analogy(
    a: Annotated[str, typer.Argument(metavar="A")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    k: Count = 1,
    method: AnalogyMethodName = Method.THREE_COS_ADD,
    exclude: Excluded = None,
    max_rank: MaxRank = None,
    min_score: MinScore = None,
    approximate: Approximate = False,
    lookup: Lookup = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Complete "A is to B as C is to ...": man, king, woman gives queen."""
    options = search_options(
        k=k,
        lookup=lookup,
        exclude=exclude,
        max_rank=max_rank,
        min_score=min_score,
        approximate=approximate,
    )
    with connect(server, timeout) as client:
        answer = client.analogy(
            a, b, c, model=model_named(model), options=options, method=method.chosen
        )
    _print_neighbors([a, b, c], answer, json=json)


def _print_neighbors(words: list[str], answer: Neighbors, *, json: bool) -> None:
    _mention_other_case(words, answer.query_words)
    if json:
        print_json(words=answer.query_words, neighbors=answer.neighbors, method=answer.method,
                   **model_values(answer.model))  # fmt: skip
        return
    for neighbor in answer.neighbors:
        typer.echo(f"{neighbor.word}\t{neighbor.score:.4f}")


def _print_lines(
    client: Client, file: Path, model: Model, options: SearchOptions, *, json: bool
) -> None:
    """A line of output for each line of the file, as they arrive and in constant memory."""
    failures = 0
    with opened(file) as (descriptor, name):
        for batch in read_batches(descriptor, name):
            asked = [line for line in batch if line.text.strip()]
            found = _nearest(client, [line.text for line in asked], model, options, batch)
            results = dict(zip((line.number for line in asked), found, strict=True))
            for line in batch:
                result = results.get(line.number)
                if isinstance(result, DragomanClientError):
                    failures += 1
                    report(f"line {line.number}: {described_item(result)}")
                _print_line(line, result, json=json)
            sys.stdout.flush()
    if failures:
        raise typer.Exit(FAILED)


def _nearest(
    client: Client, words: list[str], model: Model, options: SearchOptions, batch: list[Line]
) -> list[ItemResult[Neighbors]]:
    try:
        return client.nearest(words, model=model, options=options) if words else []
    except DragomanClientError as error:
        place = f"lines {batch[0].number} to {batch[-1].number}"
        raise CommandError(f"{place}: {described(error)}") from error


def _print_line(line: Line, result: ItemResult[Neighbors] | None, *, json: bool) -> None:
    if not json:
        words = (
            [f"{one.word} {one.score:.4f}" for one in result.neighbors]
            if isinstance(result, Neighbors)
            else []
        )
        sys.stdout.write("\t".join([line.text, *words] if words else []) + "\n")
    elif isinstance(result, DragomanClientError):
        print_json(line=line.number, query=line.text, **error_values(result))
    elif result is None:
        print_json(line=line.number, query=line.text, neighbors=[])
    else:
        print_json(line=line.number, query=line.text, words=result.query_words,
                   neighbors=result.neighbors, method=result.method,
                   **model_values(result.model))  # fmt: skip


def _mention_other_case(
    words: list[str], found: tuple[ResolvedWord, ...] | list[ResolvedWord]
) -> None:
    for word, entry in zip(words, found, strict=False):
        if entry.match is WordMatch.IGNORING_CASE:
            report(f"{word!r} is not in the vocabulary; took {entry.word!r}")
