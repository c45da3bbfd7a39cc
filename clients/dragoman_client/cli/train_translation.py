"""`dragoman train translation`: a translator, by a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.training_options import (
    RecipeFile,
    Resume,
    RunFolder,
    Threads,
    how_to_resume,
    interruptible,
)


def translation(
    config: RecipeFile,
    out: RunFolder,
    resume: Resume = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="In place of the recipe's seed.")
    ] = None,
    threads: Threads = 1,
) -> None:
    """Train a translator by a recipe; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.translation.recipe import read_recipe
        from dragoman_models.translation.trainer import TranslationTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    with interruptible(lambda: how_to_resume("translation", out, config=config, seed=seed)):
        recipe = read_recipe(config, seed=seed)
        weights = TranslationTrainer(recipe, out, resume=resume).run()
    typer.echo(weights)
