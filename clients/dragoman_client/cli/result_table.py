"""Results in rows: a table for people, tabs between the columns for other programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer


class ResultTable:
    """Rows go to a pipe or file at once, and to a terminal as one table at the end.

    Use it in a ``with`` statement; what there is when it ends by an error is shown too.
    """

    def __init__(self, *columns: str) -> None:
        self._columns = columns
        self._rows: list[Sequence[str]] = []
        self._for_people = sys.stdout.isatty()

    def __enter__(self) -> ResultTable:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rows:
            from rich.console import Console
            from rich.table import Table

            table = Table(*(column.upper() for column in self._columns), box=None)
            for row in self._rows:
                table.add_row(*row)
            Console().print(table, markup=False)

    def add(self, *values: str) -> None:
        if self._for_people:
            self._rows.append(values)
        else:
            typer.echo("\t".join(values))
