"""`dragoman train image-embedder`: embeddings of characters, or of people, by triplet loss."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report

_INTERRUPTED = 130


def image_embedder(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    config: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")
    ] = None,
    identities: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures to learn from, one folder a person."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Train an image embedder by a recipe; Ctrl-C stops it, and --resume goes on.

    With --identities alone, the recipe is one for aligned colour pictures of faces.
    """
    if config is None and identities is None:
        raise CommandError("give --config RECIPE, --identities DIR, or both")
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.errors import TrainingError
        from dragoman_models.vision.verification.recipe import read_recipe
        from dragoman_models.vision.verification.run_images import read_images
        from dragoman_models.vision.verification.trainer import CHECKPOINT, ImageEmbedderTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        recipe = read_recipe(config, identities=identities)
        images = read_images(recipe, report)
        weights = ImageEmbedderTrainer(recipe, images, out, resume=resume).run()
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        going_on = _advice(config, identities, out, out / CHECKPOINT)
        report(f"interrupted; {going_on}")
        raise typer.Exit(_INTERRUPTED) from error
    typer.echo(weights)


def _advice(config: Path | None, identities: Path | None, out: Path, checkpoint: Path) -> str:
    if not checkpoint.exists():
        return "there is no checkpoint yet to go on from"
    words: list[object] = ["dragoman", "train", "image-embedder"]
    words += [] if config is None else ["--config", config]
    words += [] if identities is None else ["--identities", identities]
    return f"go on with: {shlex.join(map(str, [*words, '--out', out, '--resume']))}"
