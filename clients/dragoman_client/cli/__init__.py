"""The `dragoman` command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dragoman_client.cli.classify import classify
from dragoman_client.cli.detect import detect
from dragoman_client.cli.evaluate import evaluate
from dragoman_client.cli.evaluate_vectors import evaluate_vectors
from dragoman_client.cli.generate import generate
from dragoman_client.cli.health import health
from dragoman_client.cli.identify import enrol, identify
from dragoman_client.cli.import_classifier import import_classifier
from dragoman_client.cli.models import models
from dragoman_client.cli.plot_vectors import plot_vectors
from dragoman_client.cli.reporting import ReportingGroup, use_utf8
from dragoman_client.cli.score import score
from dragoman_client.cli.security_options import with_security
from dragoman_client.cli.serve import serve
from dragoman_client.cli.token import token
from dragoman_client.cli.train import train
from dragoman_client.cli.translate import translate
from dragoman_client.cli.vector_files import export_vectors, import_vectors
from dragoman_client.cli.verify import verify
from dragoman_client.cli.words import analogy, nearest, similarity

_SUBCOMMANDS = (
    serve, translate, score, generate, similarity, nearest, analogy, health, evaluate,
    import_classifier, import_vectors, export_vectors, evaluate_vectors, plot_vectors, classify,
    detect, verify, enrol, identify,
)  # fmt: skip


def main() -> None:
    """Runs the command and ends the process with its exit code.

    0: all went well; 1: something failed; 2: wrong usage; 130: interrupted; 141: whoever read the
    output went away.
    """
    use_utf8()
    # gRPC's own notes on its connections are not this command's messages.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    command()(prog_name="dragoman")


def command() -> typer.Typer:
    """The command with all its subcommands."""
    app = typer.Typer(
        cls=ReportingGroup,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for subcommand in _SUBCOMMANDS:
        app.command()(with_security(subcommand))
    app.add_typer(models(), name="models")
    app.add_typer(train(), name="train")
    app.add_typer(token(), name="token")
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # slower to import than the rest of the command

        typer.echo(f"dragoman {version('dragoman')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Translate, write, compare words, look at images, evaluate, train and serve models."""
