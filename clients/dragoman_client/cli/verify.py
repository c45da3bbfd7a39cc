"""`dragoman verify`: whether images show the same."""

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
from dragoman_client.cli.image_pictures import draw_comparison
from dragoman_client.cli.json_output import error_values, model_values, print_json
from dragoman_client.cli.picture_option import check_picture
from dragoman_client.cli.reporting import FAILED
from dragoman_client.cli.result_table import ResultTable
from dragoman_client.errors import DragomanClientError

_COLUMNS = ("first", "second", "decision", "distance", "threshold")


def verify(
    first: Annotated[
        str, typer.Argument(metavar="FIRST", help="An image.", show_default=False)
    ],
    others: Images,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="D", show_default="the model's own",
            help="The greatest distance that counts as the same, from 0 to 2.",
        ),
    ] = None,
    out: Picture = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:  # fmt: skip
    """Print whether FIRST and each other image show the same thing, writer or person.

    Columns: the two images, "same" or "different", the distance of their vectors (0 to 2) and the
    threshold.
    """
    one = Path(first)
    paths = image_paths(others)
    check_single(paths, out)
    if out is not None:
        check_picture(out, "--out")
    failures = 0
    asked = model_named(model)
    with connect(server, timeout) as client, ResultTable(*_COLUMNS) as table:
        for path, found in looked_at(
            paths,
            lambda batch: client.verify(
                [(one, other) for other in batch], model=asked, threshold=threshold
            ),
        ):
            names = {"first": str(one), "second": str(path)}
            if isinstance(found, DragomanClientError):
                failures += 1
                if json:
                    print_json(**names, **error_values(found))
                continue
            if json:
                print_json(
                    **names, same=found.same, distance=found.distance,
                    threshold=found.threshold, **model_values(found.model),
                )  # fmt: skip
            else:
                decision = "same" if found.same else "different"
                numbers = (f"{found.distance:.4f}", f"{found.threshold:.4f}")
                table.add(str(one), str(path), decision, *numbers)
            if out is not None:
                draw_comparison(one, path, found, out)
    if failures:
        raise typer.Exit(FAILED)
