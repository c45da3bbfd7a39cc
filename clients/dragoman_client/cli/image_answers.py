"""What the subcommands about images print: rows of a table, or a JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from dragoman_client.cli.json_output import error_values, print_json
from dragoman_client.cli.reporting import FAILED
from dragoman_client.cli.result_table import ResultTable
from dragoman_client.errors import DragomanClientError
from dragoman_client.responses import ItemResult

Answer = TypeVar("Answer")


def _image(path: Path) -> dict[str, str]:
    return {"image": str(path)}


def print_answers(
    answers: Iterable[tuple[Path, ItemResult[Answer]]],
    *,
    columns: Sequence[str],
    rows: Callable[[Answer], Iterable[Sequence[str]]],
    values: Callable[[Answer], dict[str, Any]],
    json: bool,
    names: Callable[[Path], dict[str, str]] = _image,
    draw: Callable[[Path, Answer], None] | None = None,
) -> None:
    """Prints the answer to each image as it comes; an image that failed has no row.

    Args:
        columns: of the table, those of ``names`` first.
        rows: an answer's, without the names.
        values: an answer's, in JSON, without the names.
        names: what stands before each row, and in each object, of an image.
        draw: draws an answer.
    Raises:
        typer.Exit: at the end, where an image failed.
    """
    failures = 0
    with ResultTable(*columns) as table:
        for path, found in answers:
            named = names(path)
            if isinstance(found, DragomanClientError):
                failures += 1
                if json:
                    print_json(**named, **error_values(found))
                continue
            if json:
                print_json(**named, **values(found))
            else:
                for row in rows(found):
                    table.add(*named.values(), *row)
            if draw is not None:
                draw(path, found)
    if failures:
        raise typer.Exit(FAILED)
