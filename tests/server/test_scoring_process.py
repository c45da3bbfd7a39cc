"""Scoring in a process: sacreBLEU's own figures, and an end when nobody waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import sacrebleu

from dragoman_models.errors import InvalidInputError, WorkCancelledError
from dragoman_models.metrics.translation_quality import TranslationMetric
from dragoman_server.scoring_process import ScoringJob, ScoringProcess
from dragoman_server.work_queue import CancelFlag

# TER of a thousand words without order takes sacreBLEU more than a minute.
SCRAMBLED = " ".join(f"w{i * i % 97}" for i in range(1_000))
ORDERED = " ".join(f"w{i % 97}" for i in range(1_000))
ENDLESS = ScoringJob(hypotheses=[SCRAMBLED], references=[ORDERED])


@pytest.fixture(scope="module")
def process() -> Iterator[ScoringProcess]:
    made = ScoringProcess()
    yield made
    made.stop()


def test_scores_and_errors_come_back_from_one_process(process: ScoringProcess) -> None:
    hypotheses, references = ["a b c d e", "x"], ["a b c d f", "x y"]
    for _ in range(2):
        found = process.score(
            ScoringJob(hypotheses=hypotheses, references=references), CancelFlag()
        )
        bleu, chrf, ter = (found[metric].score for metric in TranslationMetric)
        assert bleu == sacrebleu.corpus_bleu(hypotheses, [references]).score
        assert chrf == sacrebleu.corpus_chrf(hypotheses, [references]).score
        assert ter == sacrebleu.corpus_ter(hypotheses, [references]).score
        with pytest.raises(InvalidInputError, match="references"):
            process.score(ScoringJob(hypotheses=["a"], references=[]), CancelFlag())


def test_a_gone_caller_ends_the_work_and_the_next_is_served(process: ScoringProcess) -> None:
    flag = CancelFlag()
    started = time.monotonic()
    threading.Timer(0.2, flag.cancel).start()
    with pytest.raises(WorkCancelledError):
        process.score(ENDLESS, flag)
    assert time.monotonic() - started < 30
    job = ScoringJob(hypotheses=["a"], references=["a"])
    assert process.score(job, CancelFlag())[TranslationMetric.TER].score == 0


def test_stopping_twice_is_stopping_once() -> None:
    made = ScoringProcess()
    made.stop()
    made.stop()
