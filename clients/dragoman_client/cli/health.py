"""`dragoman health`: whether the server answers, for people and for probes of orchestrators."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman_client.cli.connection import DEFAULT_SERVER, Server, Timeout, connect
from dragoman_client.cli.reporting import FAILED
from dragoman_client.results import HealthStatus

_SECONDS = 5.0


def health(
    service: Annotated[
        str,
        typer.Argument(
            metavar="[SERVICE]",
            show_default=False,
            help="A service, as dragoman.v1.TranslationService; without it, the server as a whole.",
        ),
    ] = "",
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = _SECONDS,
) -> None:
    """Print whether the server answers calls; exit with 0 only where it does.

    It needs no token.
    """
    with connect(server, timeout) as client:
        status = client.check_health(service)
    typer.echo(status.name.lower())
    if status is not HealthStatus.SERVING:
        raise typer.Exit(FAILED)
