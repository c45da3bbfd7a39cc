"""`dragoman verify`: whether images show the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
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
from dragoman_client.cli.image_pictures import draw_comparison
from dragoman_client.cli.json_output import model_values
from dragoman_client.image_results import Verification

_COLUMNS = ("first", "second", "decision", "distance", "threshold")


First = Annotated[str, typer.Argument(metavar="FIRST", help="An image.", show_default=False)]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="D", show_default="the model's own",
        help="The greatest distance that counts as the same, from 0 to 2.",
    ),
]  # fmt: skip


def verify(
    first: First,
    others: Images,
    threshold: Threshold = None,
    out: Picture = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print whether FIRST and each other image show the same thing, writer or person.

    Columns: the two images, "same" or "different", the distance of their vectors (0 to 2) and the
    threshold.
    """
    one, paths = Path(first), paths_to_draw(others, out)
    asked = model_named(model)

    def draw(other: Path, found: Verification) -> None:
        if out is not None:
            draw_comparison(one, other, found, out)

    with connect(server, timeout) as client:
        print_answers(
            looked_at(
                paths,
                lambda batch: client.verify(
                    [(one, other) for other in batch], model=asked, threshold=threshold
                ),
            ),
            columns=_COLUMNS,
            rows=_rows,
            values=_values,
            json=json,
            names=lambda other: {"first": str(one), "second": str(other)},
            draw=draw,
        )


def _rows(found: Verification) -> Iterator[tuple[str, ...]]:
    decision = "same" if found.same else "different"
    yield decision, f"{found.distance:.4f}", f"{found.threshold:.4f}"


def _values(found: Verification) -> dict[str, Any]:
    return {
        "same": found.same,
        "distance": found.distance,
        "threshold": found.threshold,
        **model_values(found.model),
    }
