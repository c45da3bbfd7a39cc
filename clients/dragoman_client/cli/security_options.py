"""The options for TLS and tokens, which every subcommand that calls a server gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.credentials import Tls, read_token

_PANEL = "TLS and tokens"

PublicTls = Annotated[
    bool,
    typer.Option(
        "--tls", envvar="DRAGOMAN_TLS", rich_help_panel=_PANEL,
        help="Encrypt; the server's certificate is of a public authority.",
    ),
]  # fmt: skip
TlsCa = Annotated[
    Path | None,
    typer.Option(
        envvar="DRAGOMAN_TLS_CA", metavar="FILE", rich_help_panel=_PANEL,
        help="Encrypt; the server's certificate is of one of these authorities, PEM.",
    ),
]  # fmt: skip
TlsCertificate = Annotated[
    Path | None,
    typer.Option(
        envvar="DRAGOMAN_TLS_CERTIFICATE", metavar="FILE", rich_help_panel=_PANEL,
        help="This client's certificate, for a server that asks for one, PEM.",
    ),
]  # fmt: skip
TlsKey = Annotated[
    Path | None,
    typer.Option(
        envvar="DRAGOMAN_TLS_KEY", metavar="FILE", rich_help_panel=_PANEL,
        help="The key of this client's certificate, PEM.",
    ),
]  # fmt: skip
TlsServerName = Annotated[
    str | None,
    typer.Option(
        envvar="DRAGOMAN_TLS_SERVER_NAME", metavar="NAME", rich_help_panel=_PANEL,
        help="The name in the server's certificate, where it differs from the address.",
    ),
]  # fmt: skip
Token = Annotated[
    str | None,
    typer.Option(
        envvar="DRAGOMAN_TOKEN", metavar="TOKEN", rich_help_panel=_PANEL,
        help="Who calls. On the command line other users of the machine see it.",
    ),
]  # fmt: skip
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="DRAGOMAN_TOKEN_FILE", metavar="FILE", rich_help_panel=_PANEL,
        help="The file that holds the token; --token wins over it.",
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Security:
    """How this command's calls are protected."""

    tls: Tls | None = None
    token: str | None = None


_given: ContextVar[Security] = ContextVar("security", default=Security())  # noqa: B039 - frozen


def given_security() -> Security:
    """What the options of the command that runs say."""
    return _given.get()


def _security(
    tls: PublicTls = False,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_server_name: TlsServerName = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> Security:
    if token is None and token_file is not None:
        token = read_token(token_file)
    files = (tls_ca, tls_certificate, tls_key, tls_server_name)
    if not tls and all(one is None for one in files):
        return Security(token=token)
    encrypted = Tls(
        ca_file=tls_ca,
        certificate_file=tls_certificate,
        key_file=tls_key,
        server_name=tls_server_name,
    )
    return Security(tls=encrypted, token=token)


def with_security(subcommand: Callable[..., Any]) -> Callable[..., Any]:
    """A subcommand that takes a server, with these options beside its own."""
    own = inspect.signature(subcommand, eval_str=True)
    if "server" not in own.parameters:
        return subcommand
    added = inspect.signature(_security, eval_str=True).parameters

    @wraps(subcommand)
    def run(**options: Any) -> Any:
        values = {name: options.pop(name) for name in added}
        try:
            security = _security(**values)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        _given.set(security)
        return subcommand(**options)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (*own.parameters.values(), *added.values())
    ]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    del run.__wrapped__
    return run
