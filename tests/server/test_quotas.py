"""Quotas a minute: what is let through, what is said, and what counts."""

from __future__ import annotations

import math

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from dragoman.v1 import (
    embedding_service_pb2,
    evaluation_service_pb2,
    model_pb2,
    translation_service_pb2,
)
from dragoman_models.errors import LimitExceededError
from dragoman_server.errors import QuotaExceededError
from dragoman_server.security.allowance import Allowance
from dragoman_server.security.grant import Grant, Scope
from dragoman_server.security.quotas import Quotas, characters_in

_STEPS = st.lists(
    st.tuples(st.floats(0, 90, allow_subnormal=False), st.integers(0, 120)), max_size=40
)


@given(st.integers(1, 100), _STEPS)
def test_no_span_of_time_lets_more_through_than_a_minutes_worth_and_its_own(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    now = 0.0
    allowance = Allowance(per_minute, lambda: now)
    taken: list[tuple[float, int]] = []
    for pause, units in steps:
        now += pause
        if allowance.take(units) == 0:
            taken.append((now, units))
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            span = taken[end][0] - taken[start][0]
            units = sum(one for _, one in taken[start : end + 1])
            assert units <= per_minute * (1 + span / 60) + 1e-6


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 10_000))
def test_what_is_refused_passes_after_the_time_that_was_named_and_not_before(
    per_minute: int, first: int, second: int
) -> None:
    now = 0.0
    allowance = Allowance(per_minute, lambda: now)
    seconds = allowance.take(first)
    assert (seconds == 0) is (first <= per_minute)
    seconds = allowance.take(second)
    if second > per_minute:
        assert math.isinf(seconds)
    elif seconds > 0:
        now = seconds * 0.99
        assert allowance.take(second) > 0
        now = seconds * (1 + 1e-9) + 1e-9
        assert allowance.take(second) == 0


@pytest.mark.parametrize(
    ("request_message", "characters"),
    [
        (embedding_service_pb2.EmbedRequest(), 0),
        (embedding_service_pb2.EmbedRequest(words=["cat", "", "שלום", "🙂"]), 3 + 0 + 4 + 1),
        (
            translation_service_pb2.TranslateRequest(
                model=model_pb2.ModelSelector(name="m"),
                sources=[
                    translation_service_pb2.TranslationSource(text="ab"),
                    translation_service_pb2.TranslationSource(text="c", target_prefix="d"),
                ],
            ),
            1 + 2 + 1 + 1,
        ),
        (
            evaluation_service_pb2.EvaluationServiceScoreRequest(
                segments=[
                    evaluation_service_pb2.ScoredSegment(hypothesis="abc", references=["de", "f"])
                ]
            ),
            6,
        ),
    ],
)
def test_characters_are_those_of_all_strings(request_message: Message, characters: int) -> None:
    assert characters_in(request_message) == characters


def granted(name: str = "ci", **quotas: int) -> Grant:
    return Grant(name=name, scopes=frozenset(Scope), **quotas)


def test_who_has_no_quota_is_never_refused() -> None:
    quotas = Quotas()
    for _ in range(1_000):
        quotas.charge(granted(), embedding_service_pb2.EmbedRequest(words=["x" * 1_000]))


def test_callers_have_quotas_of_their_own_and_a_new_one_holds_at_once() -> None:
    quotas = Quotas()
    request = embedding_service_pb2.EmbedRequest(words=["x" * 10])
    quotas.charge(granted(calls_per_minute=1), request)
    with pytest.raises(QuotaExceededError, match=r"ci: may send 1 calls a minute; try again in"):
        quotas.charge(granted(calls_per_minute=1), request)
    quotas.charge(granted("other", calls_per_minute=1), request)
    quotas.charge(granted(calls_per_minute=2), request)  # the file of tokens has changed
    quotas.charge(granted(characters_per_minute=10), request)
    with pytest.raises(QuotaExceededError, match="10 characters a minute") as caught:
        quotas.charge(granted(characters_per_minute=10), request)
    assert caught.value.retry_after_seconds == pytest.approx(60, abs=1)
    with pytest.raises(LimitExceededError, match="this request has 10; send fewer") as limited:
        quotas.charge(granted(characters_per_minute=9), request)
    assert not isinstance(limited.value, QuotaExceededError)  # waiting would not help
