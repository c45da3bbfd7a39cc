"""`dragoman classify`: what images show."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    ModelName,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.image_files import Images, Picture, check_single, image_paths, looked_at
from dragoman_client.cli.image_pictures import draw_classification
from dragoman_client.cli.json_output import error_values, model_values, print_json
from dragoman_client.cli.picture_option import check_picture
from dragoman_client.cli.reporting import FAILED
from dragoman_client.cli.result_table import ResultTable
from dragoman_client.errors import DragomanClientError


def classify(
    images: Images,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", metavar="N", show_default="5", help="Classes an image."),
    ] = None,
    out: Picture = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print what images show: a row for each class, the most probable first.

    Columns: image, class, probability. An image that cannot be read or does not decode is reported
    on standard error, and the others are answered.
    """
    paths = image_paths(images)
    check_single(paths, out)
    if out is not None:
        check_picture(out, "--out")
    failures = 0
    asked = model_named(model)
    with connect(server, timeout) as client, ResultTable("image", "class", "probability") as table:
        for path, found in looked_at(
            paths, lambda batch: client.classify(batch, model=asked, top_k=top_k)
        ):
            if isinstance(found, DragomanClientError):
                failures += 1
                if json:
                    print_json(image=str(path), **error_values(found))
                continue
            if json:
                print_json(image=str(path), classes=found.classes, **model_values(found.model))
            else:
                for one in found.classes:
                    table.add(str(path), one.label, f"{one.probability:.4f}")
            if out is not None:
                draw_classification(path, found, out)
    if failures:
        raise typer.Exit(FAILED)
