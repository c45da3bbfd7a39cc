"""Each row of the error table: the code, the details, the metadata; and that it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from dragoman_models.errors import (
    BundleError,
    DragomanError,
    FieldViolation,
    InvalidInputError,
    LimitExceededError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadedError,
    NotFoundError,
    OverloadedError,
    TooFewKnownError,
    TrainingError,
    UnknownWordError,
    WorkCancelledError,
)
from dragoman_server.error_status import CallStatus, call_status, item_status, shortened
from dragoman_server.errors import DeadlinePassedError, NotServedError

Code = grpc.StatusCode


def detail_of(status: status_pb2.Status, detail: Message) -> Any:
    """The status's only detail, which must be of the type of `detail`."""
    assert len(status.details) == 1
    assert status.details[0].Unpack(detail)
    return detail


def mapped(error: Exception) -> CallStatus:
    return call_status(error, "id-1")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError.single("a", "b"), Code.INVALID_ARGUMENT),
        (NotFoundError("family", "x", "no"), Code.NOT_FOUND),
        (ModelNotFoundError("x"), Code.NOT_FOUND),
        (UnknownWordError("x"), Code.NOT_FOUND),
        (UnknownWordError("x", suggestions=["y"]), Code.NOT_FOUND),
        (TooFewKnownError("set", "knows none"), Code.FAILED_PRECONDITION),
        (ModelNotLoadedError("x"), Code.FAILED_PRECONDITION),
        (ModelLoadingError("x", 1), Code.UNAVAILABLE),
        (OverloadedError("full", 1), Code.UNAVAILABLE),
        (LimitExceededError("message", "long"), Code.RESOURCE_EXHAUSTED),
        (WorkCancelledError(), Code.CANCELLED),
        (DeadlinePassedError("late"), Code.DEADLINE_EXCEEDED),
        (NotServedError("S/M"), Code.UNIMPLEMENTED),
        (BundleError(Path("secret"), "broken"), Code.INTERNAL),
        (TrainingError("no"), Code.INTERNAL),
        (DragomanError("?"), Code.INTERNAL),
        (ZeroDivisionError("?"), Code.INTERNAL),
        (TimeoutError(), Code.INTERNAL),
    ],
)
def test_every_error_has_its_code(error: Exception, code: grpc.StatusCode) -> None:
    assert mapped(error).code is code
    assert mapped(error).status.code == code.value[0]


def test_bad_request_has_one_violation_a_field() -> None:
    violations = [FieldViolation(field=f, description=f"wrong {f}") for f in ("a", "b.c")]
    detail = detail_of(mapped(InvalidInputError(violations)).status, error_details_pb2.BadRequest())
    assert [(one.field, one.description) for one in detail.field_violations] == [
        ("a", "wrong a"),
        ("b.c", "wrong b.c"),
    ]


def test_not_found_says_what_was_not_found() -> None:
    detail = detail_of(mapped(UnknownWordError("wörd")).status, error_details_pb2.ResourceInfo())
    assert (detail.resource_type, detail.resource_name) == ("word", "wörd")


@pytest.mark.parametrize("error", [ModelLoadingError("m", 1.5), OverloadedError("full", 1.5)])
def test_come_back_later_says_when(error: DragomanError) -> None:
    status = mapped(error)
    detail = detail_of(status.status, error_details_pb2.RetryInfo())
    assert detail.retry_delay.ToMilliseconds() == 1500
    assert dict(status.metadata) == {"grpc-retry-pushback-ms": "1500"}


def test_pushback_is_never_zero() -> None:
    assert dict(mapped(OverloadedError("full", 0)).metadata) == {"grpc-retry-pushback-ms": "1"}


def test_a_limit_is_a_quota_failure() -> None:
    error = LimitExceededError("request message", "has 5 bytes; 4 are allowed")
    detail = detail_of(mapped(error).status, error_details_pb2.QuotaFailure())
    assert detail.violations[0].subject == "request message"
    assert "4 are allowed" in detail.violations[0].description


def test_a_defect_tells_the_caller_only_the_request_id() -> None:
    status = mapped(ZeroDivisionError("password is hunter2")).status
    detail = detail_of(status, error_details_pb2.RequestInfo())
    assert detail.request_id == "id-1"
    assert "id-1" in status.message
    assert "hunter2" not in str(status)


def test_an_item_error_continues_the_path_of_the_item() -> None:
    status = item_status(InvalidInputError.single("first", "is blank"), "pairs[3]")
    detail = detail_of(status, error_details_pb2.BadRequest())
    assert detail.field_violations[0].field == "pairs[3].first"
    assert status.message == "pairs[3].first: is blank"


@pytest.mark.parametrize("text", ["a", "é", "語", "🦜", "\ud800"])
def test_any_status_fits_the_metadata_that_clients_accept(text: str) -> None:
    long = text * 5_000
    violations = [FieldViolation(field=long, description=long)] * 100
    for error in (
        InvalidInputError(violations),
        ModelNotFoundError(long),
        ModelNotLoadedError(long, long),
        LimitExceededError(long, long),
        OverloadedError(long, 1),
    ):
        status = mapped(error).status
        details_base64 = len(status.SerializeToString()) * 4 / 3
        message_percent_encoded = len(status.message.encode()) * 3
        # 8,192 less room for request id, pushback and the names of the keys.
        assert details_base64 + message_percent_encoded < 7_600


def test_violations_that_are_left_out_are_counted() -> None:
    error = InvalidInputError([FieldViolation(field="a", description="b")] * 100)
    assert mapped(error).status.message.endswith("and 94 more")


def test_a_shortened_text_keeps_both_ends() -> None:
    assert shortened("語" * 9, 100) == "語" * 9
    short = shortened("start" + "語" * 100 + "end", 40)
    assert short.startswith("start")
    assert short.endswith("end")
    assert len(short.encode()) <= 40
