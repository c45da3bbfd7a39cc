"""`dragoman train`: training, from the extra `train`."""

from __future__ import annotations

import typer

from dragoman_client.cli.train_classifier import classifier
from dragoman_client.cli.train_detector import detector
from dragoman_client.cli.train_image_embedder import image_embedder
from dragoman_client.cli.train_language_model import language_model
from dragoman_client.cli.train_synthetic import back_translation
from dragoman_client.cli.train_translation import translation
from dragoman_client.cli.train_vectors import glove, word2vec


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
