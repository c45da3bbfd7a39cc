"""`dragoman import-classifier`: a published classifier of images as a bundle."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.reporting import report


def import_classifier(
    out: Annotated[
        Path,
        typer.Option(metavar="NAME/VERSION", help="The bundle, such as efficientnet-lite0/1."),
    ],
) -> None:
    """Write EfficientNet-Lite0 with ImageNet's 1,000 labels as a bundle, ready to be served.

    The weights come with the extra `imagenet`; nothing is downloaded.
    """
    with needs_extra("imagenet"):
        import onnxruntime  # noqa: F401 - told now, and not after the conversion
        import onnxscript  # noqa: F401

        from dragoman_models.vision.classification.imagenet_import import import_efficientnet
    command = ["dragoman", "import-classifier", "--out"]
    command.append(f"{out.absolute().parent.name}/{out.name}")
    with reported_model_errors(), needs_extra("imagenet"):
        import_efficientnet(out, command=shlex.join(command), on_step=report)
    typer.echo(out)
