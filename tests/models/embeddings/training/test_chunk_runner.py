"""Chunks are learnt in their order, once each, whatever interrupts them."""

from __future__ import annotations

import csv
import math
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.progress import Progress

from dragoman_models.embeddings.training.chunk_runner import (
    LOG_COLUMNS,
    ChunkPlan,
    ChunkReport,
    ChunkRunner,
    Position,
)
from dragoman_models.embeddings.training.progress import progress_bar
from dragoman_models.errors import TrainingError
from dragoman_models.training import CsvLog


class Work:
    """Twelve chunks, three epochs of four, of one prediction each with the loss of its number."""

    def __init__(self, folder: Path, *, threads: int = 1, position: Position | None = None) -> None:
        self.position = position or Position()
        self.learnt: list[int] = []
        self.saved: list[int] = []
        self.fail_at: int | None = None
        self.interrupt_at: int | None = None
        self.log = folder / "log.csv"
        self._lock = threading.Lock()
        plan = ChunkPlan(
            chunks_per_epoch=4, epochs=3, threads=threads, checkpoint_seconds=1e9,
            report_seconds=0.0, unit="words",
        )  # fmt: skip
        self.plan = plan

    def learn(self, chunk: int) -> ChunkReport:
        if chunk == self.fail_at:
            raise ZeroDivisionError
        if chunk == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        with self._lock:
            self.learnt.append(chunk)
        return ChunkReport(loss=float(chunk), predictions=1, amount=10)

    def run(self, plan: ChunkPlan | None = None) -> None:
        bar: Progress = progress_bar()
        ChunkRunner(
            plan or self.plan, self.position, CsvLog(self.log, LOG_COLUMNS), bar,
            learn=self.learn, save=lambda: self.saved.append(self.position.chunks),
            rate=lambda chunk: 0.1,
        ).run()  # fmt: skip


@pytest.mark.parametrize("threads", [1, 3])
def test_every_chunk_is_learnt_once(tmp_path: Path, threads: int) -> None:
    work = Work(tmp_path, threads=threads)
    work.run()
    assert sorted(work.learnt) == list(range(12))
    if threads == 1:
        assert work.learnt == list(range(12))
    assert work.position.mean_losses == [1.5, 5.5, 9.5]
    assert work.position.amount == 120
    assert work.position.finished
    assert work.saved == [12]


def test_the_log_has_the_mean_loss_since_the_row_before(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.run()
    with work.log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [float(chunk) for chunk in range(12)]
    assert float(rows[-1]["epoch"]) == 3


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    work = Work(tmp_path, position=Position(chunks=5, losses=[6.0, 4.0], predictions=[4, 1]))
    work.run()
    assert work.learnt == list(range(5, 12))
    assert work.position.mean_losses == [1.5, 5.5, 9.5]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("last", [0, 6, 11])
def test_ctrl_c_saves_all_that_was_learnt(tmp_path: Path, threads: int, last: int) -> None:
    work = Work(tmp_path, threads=threads)
    work.interrupt_at = last
    with pytest.raises(KeyboardInterrupt):
        work.run()
    done = work.position.chunks
    assert done > last
    assert work.saved == [done]
    assert sorted(work.learnt) == list(range(done))  # no chunk is lost, or learnt unrecorded
    assert sum(work.position.losses) == sum(range(done))
    work.interrupt_at = None
    work.run()
    assert sorted(work.learnt) == list(range(12))
    assert work.position.mean_losses == [1.5, 5.5, 9.5]


def test_an_error_is_raised_as_it_is(tmp_path: Path) -> None:
    work = Work(tmp_path, threads=2)
    work.fail_at = 6
    with pytest.raises(ZeroDivisionError):
        work.run()
    assert work.saved == []


def test_checkpoints_come_at_their_time(tmp_path: Path) -> None:
    work = Work(tmp_path, threads=2)
    work.run(replace(work.plan, checkpoint_seconds=1e-9))
    assert len(work.saved) > 2
    assert work.saved[-1] == 12
    assert sorted(work.learnt) == list(range(12))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    work = Work(tmp_path)
    plain = work.learn

    def broken(chunk: int) -> ChunkReport:
        report = plain(chunk)
        return ChunkReport(loss=math.nan, predictions=1, amount=1) if chunk == 3 else report

    work.learn = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="learning_rate: the loss is no longer a number"):
        work.run()
    assert work.saved == []
