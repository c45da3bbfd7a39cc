"""`dragoman train detector`: objects in images, from pictures with boxes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report

_INTERRUPTED = 130


def detector(
    config: Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Train a detector by a recipe; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        import kornia  # noqa: F401, so that it is missed now and not at the first image
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.errors import TrainingError
        from dragoman_models.vision.detection.recipe import read_recipe
        from dragoman_models.vision.detection.trainer import DetectorTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        trainer = DetectorTrainer(read_recipe(config), out, resume=resume)
        for skipped in trainer.data.dataset.skipped:
            report(f"warning: {skipped}")
        weights = trainer.run()
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        report(f"interrupted; {_advice(config, out)}")
        raise typer.Exit(_INTERRUPTED) from error
    typer.echo(weights)


def _advice(config: Path, out: Path) -> str:
    if not (out / "checkpoint.pt").exists():
        return "there is no checkpoint yet to go on from"
    words = ["dragoman", "train", "detector", "--config", config, "--out", out, "--resume"]
    return f"go on with: {shlex.join(map(str, words))}"
