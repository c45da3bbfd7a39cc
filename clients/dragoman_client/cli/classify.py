"""`dragoman classify`: what images show."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

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
from dragoman_client.cli.image_answers import print_answers
from dragoman_client.cli.image_files import Images, Picture, looked_at, paths_to_draw
from dragoman_client.cli.image_pictures import draw_classification
from dragoman_client.cli.json_output import model_values
from dragoman_client.image_results import Classification

_COLUMNS = ("image", "class", "probability")


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
    paths = paths_to_draw(images, out)
    asked = model_named(model)
    with connect(server, timeout) as client:
        print_answers(
            looked_at(paths, lambda batch: client.classify(batch, model=asked, top_k=top_k)),
            columns=_COLUMNS,
            rows=_rows,
            values=_values,
            json=json,
            draw=None if out is None else partial(draw_classification, out=out),
        )


def _rows(found: Classification) -> Iterator[tuple[str, ...]]:
    for one in found.classes:
        yield one.label, f"{one.probability:.4f}"


def _values(found: Classification) -> dict[str, Any]:
    return {"classes": found.classes, **model_values(found.model)}
