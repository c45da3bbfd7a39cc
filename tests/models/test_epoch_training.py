"""The loop of epochs: wherever a run stops, it goes on with what is left, and nothing twice."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from rich.progress import Progress

from dragoman_models.epoch_training import EpochCounters, train_epochs

EPOCHS, BATCHES, CHECKPOINT_UPDATES = 3, 4, 3


class StoppedError(Exception):
    """The process dies here."""


class Recorder:
    """Learns nothing; notes what it is asked for, and dies before an update."""

    def __init__(self, counters: EpochCounters, *, stop: int | None = None) -> None:
        self.counters = counters
        self.saved = copy.copy(counters)
        self.stop = stop
        self.learnt: list[tuple[int, int]] = []
        self.saves: list[int] = []
        self.finished: list[int] = []
        self.counted = 0.0

    def batches(self) -> list[int]:
        return [10 * self.counters.epoch + batch for batch in range(BATCHES)]

    def learn(self, batch: int) -> float:
        if self.counters.update == self.stop:
            raise StoppedError
        self.learnt.append((self.counters.update, batch))
        self.counters.update += 1
        return float(batch)

    def count(self, loss: float, seconds: float) -> None:
        assert seconds >= 0
        self.counted += loss

    def shown(self, loss: float | None) -> Mapping[str, Any]:
        return {"loss": loss or 0.0}

    def finish_epoch(self) -> None:
        self.finished.append(self.counters.epoch)

    def save(self) -> None:
        self.saves.append(self.counters.update)
        self.saved = copy.copy(self.counters)


def train(training: Recorder) -> None:
    bar = Progress(disable=True)
    train_epochs(training, bar, epochs=EPOCHS, checkpoint_updates=CHECKPOINT_UPDATES)
    assert not bar.tasks


def test_every_batch_is_learnt_once_and_in_order() -> None:
    training = Recorder(EpochCounters())
    train(training)
    expected = [10 * epoch + batch for epoch in range(EPOCHS) for batch in range(BATCHES)]
    assert [batch for _, batch in training.learnt] == expected
    assert training.counted == sum(expected)
    assert training.finished == [1, 2, 3]
    assert training.counters == EpochCounters(update=12, epoch=3, batch=0)
    # At 12, the checkpoint of every third update and that of the epoch.
    assert training.saves == [3, 4, 6, 8, 9, 12, 12]


@pytest.mark.parametrize("stop", range(EPOCHS * BATCHES))
def test_a_resumed_run_goes_on_from_its_checkpoint(stop: int) -> None:
    whole = Recorder(EpochCounters())
    train(whole)
    broken = Recorder(EpochCounters(), stop=stop)
    with pytest.raises(StoppedError):
        train(broken)
    resumed = Recorder(broken.saved)
    begun = resumed.counters.update
    train(resumed)
    assert begun <= stop < begun + CHECKPOINT_UPDATES
    assert broken.learnt[:begun] + resumed.learnt == whole.learnt
