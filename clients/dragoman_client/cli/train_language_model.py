"""`dragoman train language-model`: a language model, by a recipe."""

from __future__ import annotations

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


def language_model(
    config: RecipeFile, out: RunFolder, resume: Resume = False, threads: Threads = 1
) -> None:
    """Train a language model by a recipe; Ctrl-C stops it, and --resume goes on.

    Over several processes or machines: torchrun ... -m dragoman_client train language-model ...
    """
    with needs_extra("train"):
        import torch

        from dragoman_models.language_model.process_group import joined_processes
        from dragoman_models.language_model.recipe import read_recipe
        from dragoman_models.language_model.trainer import LanguageModelTrainer
    torch.set_num_threads(threads)
    with interruptible(lambda: how_to_resume("language-model", out, config=config)):
        recipe = read_recipe(config)
        with joined_processes() as processes:
            trainer = LanguageModelTrainer(recipe, out, resume=resume, processes=processes)
            weights = trainer.run()
    if processes.is_first:
        typer.echo(weights)
