"""Training in epochs of batches: the loop, resumable in the middle of an epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rich.progress import Progress

from dragoman_models.training_run import RunCounters

Batch = TypeVar("Batch")
Loss = TypeVar("Loss")


@dataclass(kw_only=True)
class EpochCounters(RunCounters):
    """Where a run is."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done of the epoch that is not finished."""


class EpochTraining(Protocol[Batch, Loss]):
    """What a family brings to the loop."""

    @property
    def counters(self) -> EpochCounters: ...

    def batches(self) -> Sequence[Batch]:
        """Those of the current epoch, which follow from the seed and the epoch's number alone: a
        resumed run goes on with the same."""
        ...

    def learn(self, batch: Batch) -> Loss:
        """One optimizer step, which it counts; raises `TrainingError` where training diverged."""
        ...

    def count(self, loss: Loss, seconds: float) -> None:
        """Adds the step to what the epoch reports."""
        ...

    def shown(self, loss: Loss | None) -> Mapping[str, Any]:
        """What the bar's columns show after a step, or before the first."""
        ...

    def finish_epoch(self) -> None:
        """Measures and reports the epoch that has just been counted."""
        ...

    def save(self) -> None:
        """Writes the checkpoint."""
        ...


def train_epochs(
    training: EpochTraining[Batch, Loss], bar: Progress, *, epochs: int, checkpoint_updates: int
) -> None:
    """Trains to the last epoch, with a checkpoint after each and every so many updates."""
    with bar:
        while training.counters.epoch < epochs:
            _train_epoch(training, bar, epochs, checkpoint_updates)


def _train_epoch(
    training: EpochTraining[Batch, Loss], bar: Progress, epochs: int, checkpoint_updates: int
) -> None:
    counters = training.counters
    batches = training.batches()
    task = bar.add_task(
        f"epoch {counters.epoch + 1}/{epochs}",
        total=len(batches), completed=counters.batch, **training.shown(None),
    )  # fmt: skip
    for batch in batches[counters.batch :]:
        began = time.monotonic()
        loss = training.learn(batch)
        counters.batch += 1
        training.count(loss, time.monotonic() - began)
        bar.update(task, advance=1, **training.shown(loss))
        if counters.update % checkpoint_updates == 0:
            training.save()
    counters.epoch, counters.batch = counters.epoch + 1, 0
    training.finish_epoch()
    training.save()
    bar.remove_task(task)
