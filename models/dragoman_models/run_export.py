"""What the commands that make a bundle of a finished training run share."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from safetensors import SafetensorError

from dragoman_models.errors import DragomanError, TrainingError
from dragoman_models.vocabulary import VocabularyError

RunFolder = Annotated[Path, typer.Option(help="The folder that training wrote.")]
RecipeFile = Annotated[Path, typer.Option(help="The recipe it was trained by.")]
NewBundle = Annotated[Path, typer.Option(help="The bundle's folder, NAME/VERSION; must not exist.")]
Data = Annotated[str, typer.Option(help="What it was trained on, for the card.")]
DataLicense = Annotated[str, typer.Option(help="The data's licence, an SPDX name.")]
Attribution = Annotated[str, typer.Option(help="Whom the licence asks to name.")]


@contextmanager
def reported_errors() -> Iterator[None]:
    """Ends the command with the message of a domain error."""
    try:
        yield
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def reading_run(folder: Path, of: str = "this recipe") -> Iterator[None]:
    """Around the reading of a run's files; raises `TrainingError` where one is missing or wrong."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError, ValidationError, VocabularyError) as error:
        raise TrainingError(f"{folder} holds no finished run of {of}: {error}") from error


def read_curve(log: Path) -> list[dict[str, str]]:
    """The rows that a training wrote; raises OSError."""
    with log.open(newline="") as file:
        return list(csv.DictReader(file))


def kept_command(module: str, *, run: Path, config: Path, out: Path, **options: str) -> str:
    """The command as a card keeps it: as another would type it, without this machine's folders.

    Args:
        options: those after --run, --config and --out, by name and in order.
    """
    words = ["python", "-m", module, "--run", f"runs/{run.name}", "--config", config.name]
    words += ["--out", f"{out.absolute().parent.name}/{out.name}"]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", value]
    return shlex.join(words)
