"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# Is told what is being done, how many more items of it are done, and how many there are in all.
Advance: TypeAlias = Callable[[str, int, int | None], None]


@contextmanager
def progress() -> Iterator[Advance]:
    """Gives what moves the bar on: a line for each kind of work, from its first mention."""
    if not sys.stderr.isatty():
        yield lambda _what, _count, _total: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, count: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.advance(tasks[what], count)

        yield advance
