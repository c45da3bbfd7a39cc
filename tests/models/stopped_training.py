"""Trainings that are stopped in the middle, and what their logs say but for times."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

_TIMES = {"seconds", "images_per_second", "tokens_per_second"}


class StoppedError(Exception):
    """The process dies here; Ctrl-C would be pytest's own."""


def stop_at(trainer: Any, update: int, *, step: str = "learn") -> None:
    """Runs until just before an update, then dies as by a power cut.

    Args:
        step: the trainer's method that makes an update.
    """
    learn = getattr(trainer, step)

    def dying(*given: Any) -> Any:
        if trainer.counters.update == update:
            raise StoppedError
        return learn(*given)

    setattr(trainer, step, dying)
    with pytest.raises(StoppedError):
        trainer.run(Progress(disable=True))


def log_rows(log: Path) -> list[dict[str, str]]:
    """What a run has reported, without what differs from one time to the next."""
    with log.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in _TIMES} for row in csv.DictReader(file)]
