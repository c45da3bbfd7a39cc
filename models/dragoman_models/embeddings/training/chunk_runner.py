"""Works through the chunks of all epochs with several threads, with reports and checkpoints."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.progress import Progress

from dragoman_models.embeddings.training.interruption import DeferredInterrupt
from dragoman_models.errors import TrainingError
from dragoman_models.training import CsvLog

LOG_COLUMNS = ("epoch", "seconds", "loss", "per_second", "learning_rate")


@dataclass(frozen=True, kw_only=True)
class ChunkReport:
    """What learning a chunk gave: `amount` is words of text, or entries, that it went through."""

    loss: float  # the sum over its predictions or entries
    predictions: int
    amount: int


@dataclass(kw_only=True)
class Position:
    """How far a run is; the whole of what a checkpoint needs beside the weights."""

    chunks: int = 0  # of all epochs
    seconds: float = 0.0
    amount: int = 0
    finished: bool = False
    losses: list[float] = field(default_factory=list)  # of each epoch: sum over its predictions
    predictions: list[int] = field(default_factory=list)

    def add(self, epoch: int, report: ChunkReport) -> None:
        """Counts a chunk of `epoch` (from 0) as done."""
        while len(self.losses) <= epoch:
            self.losses.append(0.0)
            self.predictions.append(0)
        self.losses[epoch] += report.loss
        self.predictions[epoch] += report.predictions
        self.chunks += 1
        self.amount += report.amount

    @property
    def mean_losses(self) -> list[float]:
        """The mean loss of a prediction or entry in each epoch."""
        pairs = zip(self.losses, self.predictions, strict=True)
        return [loss / max(count, 1) for loss, count in pairs]


@dataclass(frozen=True, kw_only=True)
class ChunkPlan:
    """The work and its rhythm."""

    chunks_per_epoch: int
    epochs: int
    threads: int
    checkpoint_seconds: float
    report_seconds: float
    unit: str  # of the speed shown: words, entries


class ChunkRunner:
    """Learns chunk after chunk.

    With one thread, chunks are learnt in their order and the outcome depends on nothing else. With
    several, they change the weights at the same time and without locks, as in Hogwild (Niu et al.
    2011).
    """

    def __init__(
        self, plan: ChunkPlan, position: Position, log: CsvLog, bar: Progress,
        *, learn: Callable[[int], ChunkReport], save: Callable[[], None],
        rate: Callable[[int], float],
    ) -> None:  # fmt: skip
        """`learn` is given the number of a chunk, counted over all epochs; `save` writes a
        checkpoint of `position` at a moment when nothing is being learnt."""
        self._plan = plan
        self._position = position
        self._log = log
        self._bar = bar
        self._learn = learn
        self._save = save
        self._rate = rate
        self._pending: deque[Future[ChunkReport]] = deque()
        self._since_report: list[ChunkReport] = []
        self._reported = self._saved = self._counted = time.monotonic()

    def run(self) -> None:
        """Learns what is left, and saves it in the end, and when it is interrupted by Ctrl-C.

        Raises `TrainingError` where the loss is no longer a number.
        """
        plan, position = self._plan, self._position
        total = plan.chunks_per_epoch * plan.epochs
        task = self._bar.add_task(
            "training", total=total, completed=position.chunks, status="the first run compiles"
        )
        self._reported = self._saved = self._counted = time.monotonic()
        with ThreadPoolExecutor(plan.threads) as pool, DeferredInterrupt() as interrupt:
            try:
                for chunk in range(position.chunks, total):
                    interrupt.check()
                    self._pending.append(pool.submit(self._learn, chunk))
                    if len(self._pending) >= 2 * plan.threads:
                        self._collect(task)
                self._drain(task)
                interrupt.check()
            except KeyboardInterrupt:
                self._stop()
                self._save()
                raise
            except BaseException:
                self._stop()
                raise
        self._report(task)
        position.finished = True
        self._save()

    def _collect(self, task: Any) -> None:
        report = self._pending[0].result()
        self._pending.popleft()
        if not math.isfinite(report.loss):
            raise TrainingError(
                "learning_rate: the loss is no longer a number, for the steps were too large; "
                "give a smaller learning_rate"
            )
        self._position.add(self._position.chunks // self._plan.chunks_per_epoch, report)
        self._since_report.append(report)
        self._bar.advance(task)
        now = time.monotonic()
        self._position.seconds += now - self._counted
        self._counted = now
        if now - self._reported >= self._plan.report_seconds:
            self._report(task)
        if now - self._saved >= self._plan.checkpoint_seconds:
            self._drain(task)
            self._save()
            self._saved = time.monotonic()

    def _drain(self, task: Any) -> None:
        saved, self._saved = self._saved, math.inf  # collecting must not begin another checkpoint
        while self._pending:
            self._collect(task)
        self._saved = saved

    def _stop(self) -> None:
        """Waits for what has begun, and forgets what has not: chunks begin in their order."""
        for future in reversed(self._pending):
            future.cancel()
        for future in self._pending:
            if future.cancelled() or future.exception() is not None:
                break  # a checkpoint counts from the beginning; what came later is learnt again
            epoch = self._position.chunks // self._plan.chunks_per_epoch
            self._position.add(epoch, future.result())
        self._pending.clear()

    def _report(self, task: Any) -> None:
        reports, self._since_report = self._since_report, []
        now = time.monotonic()
        seconds, self._reported = now - self._reported, now
        if not reports:
            return
        loss = sum(r.loss for r in reports) / max(sum(r.predictions for r in reports), 1)
        speed = sum(r.amount for r in reports) / max(seconds, 1e-9)
        epoch = self._position.chunks / self._plan.chunks_per_epoch
        self._log.write(
            epoch=round(epoch, 4), seconds=round(self._position.seconds, 2), loss=round(loss, 6),
            per_second=round(speed), learning_rate=round(self._rate(self._position.chunks), 8),
        )  # fmt: skip
        status = f"loss {loss:.4f}, {speed:,.0f} {self._plan.unit}/s, epoch {epoch:.2f}"
        self._bar.update(task, status=status)
