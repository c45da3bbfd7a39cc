"""`dragoman train detector`: objects in images, from pictures with boxes."""

from __future__ import annotations

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import report
from dragoman_client.cli.training_options import (
    RecipeFile,
    Resume,
    RunFolder,
    Threads,
    how_to_resume,
    interruptible,
)


def detector(
    config: RecipeFile, out: RunFolder, resume: Resume = False, threads: Threads = 1
) -> None:
    """Train a detector by a recipe; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        import kornia  # noqa: F401, so that it is missed now and not at the first image
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.vision.detection.recipe import read_recipe
        from dragoman_models.vision.detection.trainer import DetectorTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    with interruptible(lambda: how_to_resume("detector", out, config=config)):
        trainer = DetectorTrainer(read_recipe(config), out, resume=resume)
        for skipped in trainer.data.dataset.skipped:
            report(f"warning: {skipped}")
        weights = trainer.run()
    typer.echo(weights)
