"""`dragoman detect`: the objects in images."""

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
from dragoman_client.cli.image_pictures import draw_found_objects
from dragoman_client.cli.json_output import model_values
from dragoman_client.image_results import Detections
from dragoman_client.options import DetectionOptions

_COLUMNS = ("image", "class", "score", "x_min", "y_min", "x_max", "y_max")


ScoreThreshold = Annotated[
    float | None,
    typer.Option(metavar="S", show_default="the model's own", help="Least score, 0 to 1."),
]
IouThreshold = Annotated[
    float | None,
    typer.Option(
        metavar="IOU", show_default="0.45",
        help="Of objects of a class that overlap by more, only the surest is printed.",
    ),
]  # fmt: skip
MaxDetections = Annotated[
    int | None, typer.Option(metavar="N", show_default="100", help="Most objects an image.")
]


def detect(
    images: Images,
    score_threshold: ScoreThreshold = None,
    iou_threshold: IouThreshold = None,
    max_detections: MaxDetections = None,
    out: Picture = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print the objects in images: a row for each, the surest first.

    Columns: image, class, score, and the left, upper, right and lower edge in pixels of the upright
    image. An image without objects has one row of "-". One that cannot be read or does not decode
    is reported on standard error, and the others are answered.
    """
    paths = paths_to_draw(images, out)
    options = DetectionOptions(
        score_threshold=score_threshold, iou_threshold=iou_threshold, max_detections=max_detections
    )
    asked = model_named(model)
    with connect(server, timeout) as client:
        print_answers(
            looked_at(paths, lambda batch: client.detect(batch, model=asked, options=options)),
            columns=_COLUMNS,
            rows=_rows,
            values=_values,
            json=json,
            draw=None if out is None else partial(draw_found_objects, out=out),
        )


def _rows(found: Detections) -> Iterator[tuple[str, ...]]:
    for one in found.detections:
        edges = (one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max)
        yield one.label, f"{one.score:.4f}", *(f"{edge:.1f}" for edge in edges)
    if not found.detections:
        yield ("-",) * (len(_COLUMNS) - 1)


def _values(found: Detections) -> dict[str, Any]:
    return {
        "detections": found.detections,
        "image_width": found.image_width,
        "image_height": found.image_height,
        **model_values(found.model),
    }
