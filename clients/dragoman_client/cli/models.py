"""`dragoman models`: what the server has, loaded and unloaded while it runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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

_COLUMNS = ("NAME", "VERSION", "FAMILY", "STATE", "LANGUAGES", "MB", "CURRENT", "ALIASES")
_LOAD_SECONDS = 300.0
_SHOW = "show"

_Model = Annotated[str, typer.Argument(metavar="NAME[/VERSION]", show_default=False)]


class _ShowsByDefault(TyperGroup):
    """`models` and `models NAME` mean `models show`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


def models() -> typer.Typer:
    """The command with its subcommands."""
    app = typer.Typer(
        cls=_ShowsByDefault,
        help="List the server's models, print the card of one, load and unload them.",
        rich_markup_mode=None,
        epilog="Without a subcommand it is show: `dragoman models`, `dragoman models fr-en`.",
    )
    for subcommand in (show, load, unload):
        app.command()(subcommand)
    return app


def show(
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
    _print(found, json=json)


def load(
    model: _Model,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin", help="Let it answer what names no version, whatever higher ones there are."
        ),
    ] = False,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = _LOAD_SECONDS,
) -> None:
    """Load a model from the server's repository; without a version, the highest."""
    with connect(server, timeout) as client:
        loaded = client.load_model(model_named(model), pin=pin)
    _print([loaded], json=json)


def unload(
    model: _Model,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Take a version, or all of a model, out of the server's memory."""
    with connect(server, timeout) as client:
        unloaded = client.unload_model(model_named(model))
    _print(unloaded, json=json)


def _print(found: list[ModelInfo], *, json: bool) -> None:
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
    if model.failure_reason:
        refused = "" if model.state is ModelState.FAILED else "but its folder was refused: "
        state = f"{state}: {refused}{model.failure_reason}"
    return (
        model.name,
        str(model.version),
        model.family,
        state,
        f"{sources}-{targets}" if targets else sources,
        f"{model.size_bytes / 1e6:.1f}",
        ("pinned" if model.pinned else "yes") if model.current else "no",
        ",".join(model.aliases),
    )
