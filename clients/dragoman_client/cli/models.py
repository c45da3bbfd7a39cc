"""`dragoman models`: what the server has."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.json_output import print_json
from dragoman_client.results import ModelInfo, ModelState

_COLUMNS = ("NAME", "VERSION", "FAMILY", "STATE", "LANGUAGES", "MB", "CURRENT")


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME[/VERSION]]", help="A model whose card to print."),
    ] = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """List the server's models, or print the card of one."""
    with connect(server, timeout) as client:
        if name is not None:
            card = client.get_model(model_named(name))
            if json:
                print_json(**asdict(card.info), card=card.card, labels=card.labels)
            else:
                typer.echo(card.card.rstrip("\n"))
            return
        found = client.list_models()
    if json:
        for model in found:
            print_json(**asdict(model))
    else:
        _print_table(found)


def _print_table(found: list[ModelInfo]) -> None:
    rows = [_row(model) for model in found]
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*_COLUMNS, box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)


def _row(model: ModelInfo) -> tuple[str, ...]:
    sources, targets = ",".join(model.source_languages), ",".join(model.target_languages)
    state = model.state.value
    if model.state is ModelState.FAILED:
        state = f"failed: {model.failure_reason}"
    return (
        model.name,
        str(model.version),
        model.family,
        state,
        f"{sources}-{targets}" if targets else sources,
        f"{model.size_bytes / 1e6:.1f}",
        "yes" if model.current else "no",
    )
