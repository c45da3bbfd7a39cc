"""What the log holds, and what it does not."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from dragoman_server.log_format import set_up_logging


@pytest.fixture
def logs_as_a_server(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root, sacrebleu = logging.getLogger(), logging.getLogger("sacrebleu")
    before = root.handlers[:], root.level, sacrebleu.level
    root.handlers = []
    extras = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    set_up_logging("info", "text")
    yield
    root.handlers, level, sacrebleu_level = before
    root.setLevel(level)
    sacrebleu.setLevel(sacrebleu_level)
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = extras


@pytest.mark.usefixtures("logs_as_a_server")
def test_who_leaves_while_it_is_answered_leaves_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("grpc._cython.cygrpc")
    text = "ExecuteBatchError raised in core by servicer method [%s]"
    try:
        raise RuntimeError("the call is over")
    except RuntimeError:
        log.exception(text, "/dragoman.v1.EmbeddingService/NearestStream")
        logging.getLogger("grpc._cython.cygrpc").exception("Unexpected [%s] raised", "KeyError")
    said = capsys.readouterr().err
    assert "NearestStream" not in said
    assert said.count("Traceback") == 1
    assert "KeyError" in said
