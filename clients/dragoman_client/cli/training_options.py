"""What the subcommands of `dragoman train` share: options, and how a stopped run goes on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.reporting import INTERRUPTED, report

SAME_COMMAND = "the same command with --resume goes on"

RecipeFile = Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")]
RunFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")]


@contextmanager
def interruptible(advice: Callable[[], str]) -> Iterator[None]:
    """Around a training: its errors are reported, and Ctrl-C says how to go on, by ``advice``."""
    try:
        with reported_model_errors():
            yield
    except KeyboardInterrupt as error:
        report(f"interrupted; {advice()}")
        raise typer.Exit(INTERRUPTED) from error


def how_to_resume(kind: str, out: Path, **options: object) -> str:
    """The command that goes on with a run, where its folder holds a checkpoint.

    Args:
        kind: the subcommand.
        out: the run's folder.
        options: what else the command was given, by the options' names; None is left out.
    """
    if not (out / "checkpoint.pt").exists():
        return "there is no checkpoint yet to go on from"
    words = ["dragoman", "train", kind]
    for name, value in {**options, "out": out}.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return f"go on with: {shlex.join([*words, '--resume'])}"
