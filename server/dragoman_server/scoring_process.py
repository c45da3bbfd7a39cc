"""Scores corpora in a process of its own, which can be killed.

sacreBLEU is Python through and through, and TER takes more than a minute for one segment of a
thousand words. In a thread it would slow every other call and could not be stopped when its caller
goes away; a process does neither.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from dragoman_models.errors import DragomanError, WorkCancelledError
from dragoman_server.work_queue import CancelFlag

if TYPE_CHECKING:
    from dragoman_models.metrics.translation_quality import MetricScore, TranslationMetric

    Scores = dict[TranslationMetric, MetricScore]

_POLL_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """A corpus to score: the arguments of `score_corpus`."""

    hypotheses: Sequence[str]
    references: Sequence[str]
    metrics: Sequence[str] = ("bleu", "chrf", "ter")
    lowercase: bool = False
    tokenizer: str = "13a"


class ScoringProcess:
    """One process that scores one corpus after the other; use it from one thread at a time."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def score(self, job: ScoringJob, flag: CancelFlag) -> "Scores":
        """What `score_corpus` returns or raises. Raises `WorkCancelledError` once `flag` is up."""
        connection = self._started()
        try:
            connection.send(job)
            while not connection.poll(_POLL_SECONDS):
                if flag.is_cancelled():
                    raise WorkCancelledError
            answer: Scores | DragomanError = connection.recv()
        except BaseException:  # gone caller, or a process that died: the next job gets a new one
            self.stop()
            raise
        if isinstance(answer, DragomanError):
            raise answer
        return answer

    def stop(self) -> None:
        """Kill the process, if there is one. Safe to call from any thread."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if connection is not None:
            connection.close()

    def _started(self) -> Connection:
        if self._connection is None:
            # Not forked: gRPC's threads do not survive that.
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_score_forever, args=(theirs,), name="dragoman-scoring", daemon=True
            )
            self._process.start()
            theirs.close()
        return self._connection


def _score_forever(connection: Connection) -> None:
    """The process: answer each job by scores or by a domain error, until the server is gone."""
    from dragoman_models.metrics.translation_quality import TranslationMetric, score_corpus

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the server, which drains
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    while True:
        try:
            job: ScoringJob = connection.recv()
        except EOFError:
            return
        try:
            connection.send(
                score_corpus(
                    job.hypotheses,
                    job.references,
                    metrics=[TranslationMetric(name) for name in job.metrics],
                    lowercase=job.lowercase,
                    tokenizer=job.tokenizer,
                )
            )
        except DragomanError as error:
            connection.send(error)


def _end_with_the_server() -> None:
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)
