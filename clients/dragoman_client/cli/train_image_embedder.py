"""`dragoman train image-embedder`: embeddings of characters, or of people, by triplet loss."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report
from dragoman_client.cli.training_options import (
    Resume,
    RunFolder,
    Threads,
    how_to_resume,
    interruptible,
)


def image_embedder(
    out: RunFolder,
    config: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")
    ] = None,
    identities: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures to learn from, one folder a person."),
    ] = None,
    resume: Resume = False,
    threads: Threads = 1,
) -> None:
    """Train an image embedder by a recipe; Ctrl-C stops it, and --resume goes on.

    With --identities alone, the recipe is one for aligned colour pictures of faces.
    """
    if config is None and identities is None:
        raise CommandError("give --config RECIPE, --identities DIR, or both")
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.vision.verification.recipe import read_recipe
        from dragoman_models.vision.verification.run_images import read_images
        from dragoman_models.vision.verification.trainer import ImageEmbedderTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    with interruptible(
        lambda: how_to_resume("image-embedder", out, config=config, identities=identities)
    ):
        recipe = read_recipe(config, identities=identities)
        images = read_images(recipe, report)
        weights = ImageEmbedderTrainer(recipe, images, out, resume=resume).run()
    typer.echo(weights)
