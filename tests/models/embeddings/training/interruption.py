"""A training that Ctrl-C stops after some chunks of its text."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dragoman_models.embeddings.training.chunk_runner import ChunkReport, Position


@contextmanager
def interrupted_after(chunks: int) -> Iterator[None]:
    """Around a training, which must end by a KeyboardInterrupt."""
    calls = itertools.count(1)
    add = Position.add

    def interrupt(self: Position, epoch: int, report: ChunkReport) -> None:
        add(self, epoch, report)
        if next(calls) == chunks:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Position, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            yield
