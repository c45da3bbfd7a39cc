"""What every subcommand that trains by a recipe must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def check_trains_once(
    dragoman: Any, arguments: list[str], out: Path, *, weights: str, reports: int
) -> None:
    """It leaves its weights and a row for each report, and spares the run of another."""
    done = dragoman(*arguments)
    assert (done.code, done.out) == (0, f"{out / weights}\n")
    assert len((out / "log.csv").read_text().splitlines()) == 1 + reports
    again = dragoman(*arguments)
    assert again.code == 1
    assert "give --resume or another folder" in again.err


def interrupted(dragoman: Any, arguments: list[str], trainer: type, step: str, update: int) -> Any:
    """What the command leaves when Ctrl-C stops it before an update, which it says how to mend.

    Args:
        step: the trainer's method that makes an update.
    """
    learn = getattr(trainer, step)

    def interrupting(self: Any, *given: Any) -> Any:
        if self.counters.update == update:
            raise KeyboardInterrupt
        return learn(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, step, interrupting)
        stopped = dragoman(*arguments)
    assert stopped.code == 130
    assert f"go on with: dragoman {' '.join(arguments)} --resume" in stopped.err
    return stopped
