"""`dragoman token`: makes, lists and revokes the tokens that a server accepts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError

File = Annotated[
    Path,
    typer.Option(
        "--file", "-f", envvar="DRAGOMAN_ACCEPTED_TOKENS", metavar="FILE",
        help="The server's file of accepted tokens (`dragoman serve --accepted-tokens`).",
    ),
]  # fmt: skip
Name = Annotated[str, typer.Option(metavar="NAME", help="Whose token; it appears in logs.")]
Days = Annotated[
    float | None, typer.Option(metavar="DAYS", show_default="never", min=0.0001, max=36_500)
]
Quota = Annotated[int | None, typer.Option(metavar="N", show_default="no limit", min=1)]


def token() -> typer.Typer:
    """The group of subcommands."""
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Make, replace, list and revoke the tokens that a server accepts.",
    )
    app.command("create")(create)
    app.command("rotate")(rotate)
    app.command("list")(list_tokens)
    app.command("revoke")(revoke)
    return app


def create(
    name: Name,
    file: File,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", show_default="use", help="use or administer; repeatable."),
    ] = None,
    calls_per_minute: Quota = None,
    characters_per_minute: Quota = None,
    expires_in_days: Days = None,
) -> None:
    """Make a token, and print it: this once, for only its hash is kept."""
    with _errors():
        from dragoman_server.security.token_administration import create_token

        made = create_token(
            file,
            days=expires_in_days,
            name=name,
            scopes=scope or ["use"],
            calls_per_minute=calls_per_minute,
            characters_per_minute=characters_per_minute,
        )
    typer.echo(made)


def rotate(
    name: Name,
    file: File,
    keep_old_for_hours: Annotated[
        float,
        typer.Option(metavar="HOURS", min=0, max=24 * 365, help="The old one ends after them."),
    ] = 24.0,
    expires_in_days: Days = None,
) -> None:
    """Make and print a new token with the scopes and quotas of an old one, which ends soon."""
    with _errors():
        from dragoman_server.security.token_administration import rotate_token

        made = rotate_token(file, name, keep_hours=keep_old_for_hours, days=expires_in_days)
    typer.echo(made)


def list_tokens(file: File) -> None:
    """Print name, id, scopes, quotas a minute and end of each token, with tabs between."""
    with _errors():
        from dragoman_server.security.token_file import read_tokens

        tokens = read_tokens(file)
    for one in tokens:
        row = (
            one.name,
            one.id,
            ",".join(sorted(scope.value for scope in one.scopes)),
            f"{one.calls_per_minute or '-'} calls",
            f"{one.characters_per_minute or '-'} characters",
            _end(one.expires, ended=one.has_expired()),
        )
        typer.echo("\t".join(row))


def revoke(name: Name, file: File) -> None:
    """Remove all tokens of a name; a server that runs refuses them within about a second."""
    with _errors():
        from dragoman_server.security.token_administration import revoke_token

        revoke_token(file, name)


@contextmanager
def _errors() -> Iterator[None]:
    """Around what the extra `server` does; its errors become the command's."""
    with needs_extra("server"):
        from dragoman_server.errors import ConfigError
    try:
        yield
    except ConfigError as error:
        raise CommandError(str(error)) from error


def _end(expires: datetime | None, *, ended: bool) -> str:
    if expires is None:
        return "-"
    moment = expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{moment} (ended)" if ended else moment
