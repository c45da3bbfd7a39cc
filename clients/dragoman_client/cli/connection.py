"""The options that every subcommand with a server shares."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman_client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT
from dragoman_client.cli.security_options import given_security
from dragoman_client.client import Client
from dragoman_client.requests.fields import Model
from dragoman_client.results import ModelVersion

Server = Annotated[
    str, typer.Option(envvar="DRAGOMAN_SERVER", metavar="HOST:PORT", help="The server's address.")
]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", help="How long one call may take.")]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME[/VERSION]",
        show_default=False,
        help="The model; without it, the server's default for the call.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]

DEFAULT_SERVER = DEFAULT_ADDRESS
DEFAULT_SECONDS = DEFAULT_TIMEOUT


def connect(server: str, timeout: float) -> Client:
    """A client for the options of a subcommand; wrong ones are wrong usage."""
    try:
        security = given_security()
        return Client(server, timeout=timeout, tls=security.tls, token=security.token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def model_named(text: str) -> Model:
    """The model that ``NAME`` or ``NAME/VERSION`` means."""
    name, slash, number = text.partition("/")
    if not slash:
        return name
    if not (number.isascii() and number.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not NAME or NAME/VERSION", param_hint="--model")
    return ModelVersion(name=name, version=int(number))
