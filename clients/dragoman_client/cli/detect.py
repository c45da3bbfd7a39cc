"""`dragoman detect`: the objects in images."""

from __future__ import annotations

from pathlib import Path
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
from dragoman_client.cli.image_pictures import draw_found_objects
from dragoman_client.cli.json_output import error_values, model_values, print_json
from dragoman_client.cli.picture_option import check_picture
from dragoman_client.cli.reporting import FAILED
from dragoman_client.cli.result_table import ResultTable
from dragoman_client.errors import DragomanClientError
from dragoman_client.image_results import Detections
from dragoman_client.options import DetectionOptions

_COLUMNS = ("image", "class", "score", "x_min", "y_min", "x_max", "y_max")


def detect(
    images: Images,
    score_threshold: Annotated[
        float | None,
        typer.Option(metavar="S", show_default="the model's own", help="Least score, 0 to 1."),
    ] = None,
    iou_threshold: Annotated[
        float | None,
        typer.Option(
            metavar="IOU", show_default="0.45",
            help="Of objects of a class that overlap by more, only the surest is printed.",
        ),
    ] = None,
    max_detections: Annotated[
        int | None, typer.Option(metavar="N", show_default="100", help="Most objects an image.")
    ] = None,
    out: Picture = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:  # fmt: skip
    """Print the objects in images: a row for each, the surest first.

    Columns: image, class, score, and the left, upper, right and lower edge in pixels of the upright
    image. An image without objects has one row of "-". One that cannot be read or does not decode
    is reported on standard error, and the others are answered.
    """
    paths = image_paths(images)
    check_single(paths, out)
    if out is not None:
        check_picture(out, "--out")
    options = DetectionOptions(
        score_threshold=score_threshold, iou_threshold=iou_threshold, max_detections=max_detections
    )
    failures = 0
    asked = model_named(model)
    with connect(server, timeout) as client, ResultTable(*_COLUMNS) as table:
        for path, found in looked_at(
            paths, lambda batch: client.detect(batch, model=asked, options=options)
        ):
            if isinstance(found, DragomanClientError):
                failures += 1
                if json:
                    print_json(image=str(path), **error_values(found))
                continue
            if json:
                _print_json(path, found)
            else:
                _add_rows(table, path, found)
            if out is not None:
                draw_found_objects(path, found, out)
    if failures:
        raise typer.Exit(FAILED)


def _print_json(path: Path, found: Detections) -> None:
    print_json(
        image=str(path), detections=found.detections, image_width=found.image_width,
        image_height=found.image_height, **model_values(found.model),
    )  # fmt: skip


def _add_rows(table: ResultTable, path: Path, found: Detections) -> None:
    for one in found.detections:
        edges = (one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max)
        table.add(str(path), one.label, f"{one.score:.4f}", *(f"{edge:.1f}" for edge in edges))
    if not found.detections:
        table.add(str(path), *["-"] * (len(_COLUMNS) - 1))
