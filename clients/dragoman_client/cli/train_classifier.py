"""`dragoman train classifier`: image classifiers, from scratch by a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report

_INTERRUPTED = 130


def classifier(
    config: Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Train an image classifier by a recipe; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.errors import TrainingError
        from dragoman_models.vision.classification.recipe import read_recipe
        from dragoman_models.vision.classification.trainer import CHECKPOINT, ClassifierTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        weights = ClassifierTrainer(read_recipe(config), out, resume=resume).run()
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        report(f"interrupted; {_advice(config, out, out / CHECKPOINT)}")
        raise typer.Exit(_INTERRUPTED) from error
    typer.echo(weights)


def _advice(config: Path, out: Path, checkpoint: Path) -> str:
    if not checkpoint.exists():
        return "there is no checkpoint yet to go on from"
    words = ["dragoman", "train", "classifier", "--config", config, "--out", out, "--resume"]
    return f"go on with: {shlex.join(map(str, words))}"
