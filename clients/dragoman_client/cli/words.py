"""`dragoman similarity`, `nearest` and `analogy`: words compared by their vectors."""

from __future__ import annotations

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
from dragoman_client.cli.json_output import model_values, print_json
from dragoman_client.cli.reporting import report
from dragoman_client.options import SearchOptions
from dragoman_client.results import Neighbors, ResolvedWord, WordMatch

Count = Annotated[int, typer.Option("-k", metavar="N", help="How many words to print.")]


def similarity(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print how alike two words are: the cosine of their vectors, from -1 to 1."""
    with connect(server, timeout) as client:
        answer = client.similarity(first, second, model=model_named(model))
    _mention_other_case([first, second], [answer.first, answer.second])
    if json:
        print_json(words=[answer.first, answer.second], cosine=answer.cosine,
                   **model_values(answer.model))  # fmt: skip
    else:
        typer.echo(f"{answer.cosine:.4f}")


def nearest(
    word: Annotated[str, typer.Argument(metavar="WORD")],
    k: Count = 10,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print the words nearest to a word, each with its cosine, the nearest first."""
    with connect(server, timeout) as client:
        answer = client.nearest(word, model=model_named(model), options=SearchOptions(k=k))
    _print_neighbors([word], answer, json=json)


def analogy(
    a: Annotated[str, typer.Argument(metavar="A")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    k: Count = 1,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Complete "A is to B as C is to ...": man, king, woman gives queen."""
    options = SearchOptions(k=k)
    with connect(server, timeout) as client:
        answer = client.analogy(a, b, c, model=model_named(model), options=options)
    _print_neighbors([a, b, c], answer, json=json)


def _print_neighbors(words: list[str], answer: Neighbors, *, json: bool) -> None:
    _mention_other_case(words, answer.query_words)
    if json:
        print_json(words=answer.query_words, neighbors=answer.neighbors,
                   **model_values(answer.model))  # fmt: skip
        return
    for neighbor in answer.neighbors:
        typer.echo(f"{neighbor.word}\t{neighbor.score:.4f}")


def _mention_other_case(
    words: list[str], found: tuple[ResolvedWord, ...] | list[ResolvedWord]
) -> None:
    for word, entry in zip(words, found, strict=False):
        if entry.match is WordMatch.IGNORING_CASE:
            report(f"{word!r} is not in the vocabulary; took {entry.word!r}")
