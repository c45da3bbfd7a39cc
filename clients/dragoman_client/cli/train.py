"""`dragoman train`: training, from the extra `train`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report
from dragoman_client.cli.train_classifier import classifier
from dragoman_client.cli.train_detector import detector
from dragoman_client.cli.train_image_embedder import image_embedder
from dragoman_client.cli.train_synthetic import back_translation
from dragoman_client.cli.train_vectors import glove, word2vec

_INTERRUPTED = 130


def train() -> typer.Typer:
    """The subcommands, one for each kind of model."""
    app = typer.Typer(
        help="Train models.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
    )
    app.callback()(_describe)
    app.command()(translation)
    app.command()(back_translation)
    app.command()(language_model)
    app.command()(word2vec)
    app.command()(glove)
    app.command()(image_embedder)
    app.command()(classifier)
    app.command()(detector)
    return app


def _describe() -> None:
    """Train models."""


def translation(
    config: Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="In place of the recipe's seed.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Train a translator by a recipe; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.errors import TrainingError
        from dragoman_models.translation.recipe import read_recipe
        from dragoman_models.translation.trainer import TranslationTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        recipe = read_recipe(config, seed=seed)
        weights = TranslationTrainer(recipe, out, resume=resume).run()
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        report(f"interrupted; {_advice(config, out, seed=seed)}")
        raise typer.Exit(_INTERRUPTED) from error
    typer.echo(weights)


def language_model(
    config: Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe, as TOML.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Train a language model by a recipe; Ctrl-C stops it, and --resume goes on.

    Over several processes or machines: torchrun ... -m dragoman_client train language-model ...
    """
    with needs_extra("train"):
        import torch

        from dragoman_models.errors import TrainingError
        from dragoman_models.language_model.process_group import joined_processes
        from dragoman_models.language_model.recipe import read_recipe
        from dragoman_models.language_model.trainer import LanguageModelTrainer
    torch.set_num_threads(threads)
    try:
        recipe = read_recipe(config)
        with joined_processes() as processes:
            trainer = LanguageModelTrainer(recipe, out, resume=resume, processes=processes)
            weights = trainer.run()
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        report(f"interrupted; {_advice(config, out, 'language-model')}")
        raise typer.Exit(_INTERRUPTED) from error
    if processes.is_first:
        typer.echo(weights)


def _advice(config: Path, out: Path, kind: str = "translation", seed: int | None = None) -> str:
    if not (out / "checkpoint.pt").exists():
        return "there is no checkpoint yet to go on from"
    words = ["dragoman", "train", kind, "--config", config, "--out", out, "--resume"]
    words += [] if seed is None else ["--seed", seed]
    return f"go on with: {shlex.join(map(str, words))}"
