"""Each status becomes its own exception, with what its details say."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

import dragoman_client
from dragoman_client import (
    DeadlineExceededError,
    DragomanClientError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    QuotaExceededError,
    QuotaViolation,
    ServerError,
    ServerUnreachableError,
    UnavailableError,
)
from dragoman_client.status_errors import error_of_call, error_of_status


def status(code: grpc.StatusCode, message: str, *details: Message) -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "InvalidRequestError"),
        (grpc.StatusCode.OUT_OF_RANGE, "InvalidRequestError"),
        (grpc.StatusCode.NOT_FOUND, "NotFoundError"),
        (grpc.StatusCode.FAILED_PRECONDITION, "ModelNotLoadedError"),
        (grpc.StatusCode.UNAVAILABLE, "UnavailableError"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QuotaExceededError"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DeadlineExceededError"),
        (grpc.StatusCode.CANCELLED, "CallCancelledError"),
        (grpc.StatusCode.UNAUTHENTICATED, "UnauthenticatedError"),
        (grpc.StatusCode.PERMISSION_DENIED, "PermissionDeniedError"),
        (grpc.StatusCode.UNIMPLEMENTED, "NotServedError"),
        (grpc.StatusCode.INTERNAL, "ServerError"),
        (grpc.StatusCode.DATA_LOSS, "ServerError"),
        (grpc.StatusCode.UNKNOWN, "ServerError"),
    ],
)
def test_every_code_has_its_exception(code: grpc.StatusCode, name: str) -> None:
    request = error_details_pb2.RequestInfo(request_id="r-7")
    error = error_of_status(status(code, "why", request))
    assert type(error) is getattr(dragoman_client, name)
    assert (str(error), error.code, error.request_id) == ("why", code, "r-7")


def test_a_code_of_the_future_is_a_fault_of_the_server() -> None:
    error = error_of_status(status_pb2.Status(code=99, message="why"))
    assert isinstance(error, ServerError)
    assert error.code is grpc.StatusCode.UNKNOWN


def test_a_wrong_request_names_its_fields() -> None:
    details = error_details_pb2.BadRequest()
    details.field_violations.add(field="options.beam_width", description="is 0; give 1 to 64")
    details.field_violations.add(field="sources", description="is empty")
    error = error_of_status(status(grpc.StatusCode.INVALID_ARGUMENT, "wrong", details))
    assert isinstance(error, InvalidRequestError)
    assert error.violations == (
        FieldViolation(field="options.beam_width", description="is 0; give 1 to 64"),
        FieldViolation(field="sources", description="is empty"),
    )
    assert str(error) == "options.beam_width: is 0; give 1 to 64; sources: is empty"


def test_a_message_that_names_the_fields_is_kept() -> None:
    details = error_details_pb2.BadRequest()
    details.field_violations.add(field="sources[0].text", description="is blank")
    message = "sources[0].text: is blank; and 9 more"
    error = error_of_status(status(grpc.StatusCode.INVALID_ARGUMENT, message, details))
    assert str(error) == message


def test_what_is_missing_is_named() -> None:
    details = error_details_pb2.ResourceInfo(resource_type="model", resource_name="xx-yy")
    error = error_of_status(status(grpc.StatusCode.NOT_FOUND, "no model xx-yy", details))
    assert isinstance(error, NotFoundError)
    assert (error.resource_type, error.resource_name) == ("model", "xx-yy")


def test_how_long_to_wait_is_told() -> None:
    details = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    error = error_of_status(status(grpc.StatusCode.UNAVAILABLE, "full", details))
    assert isinstance(error, UnavailableError)
    assert error.retry_after == 1.5
    error = error_of_status(status(grpc.StatusCode.UNAVAILABLE, "full"))
    assert isinstance(error, UnavailableError)
    assert error.retry_after is None


def test_which_quota_is_used_up_is_told() -> None:
    details = error_details_pb2.QuotaFailure()
    details.violations.add(subject="message", description="5 MiB of 4 MiB")
    error = error_of_status(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", details))
    assert isinstance(error, QuotaExceededError)
    assert error.violations == (QuotaViolation(subject="message", description="5 MiB of 4 MiB"),)


def test_details_of_other_types_are_passed_over() -> None:
    unknown = AnyMessage(type_url="type.example.org/of.the.Future", value=b"\xff\xff")
    known = error_details_pb2.RequestInfo(request_id="r-7")
    error = error_of_status(status(grpc.StatusCode.INTERNAL, "why", unknown, known))
    assert error.request_id == "r-7"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A call that failed; with a rich status where there is one."""

    failed_code: grpc.StatusCode
    message: str
    rich: status_pb2.Status | None = None

    def code(self) -> grpc.StatusCode:
        return self.failed_code

    def details(self) -> str:
        return self.message

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        if self.rich is None:
            return [("other", "x")]
        return [
            ("x-request-id", "r-9"),
            ("grpc-status-details-bin", self.rich.SerializeToString()),
        ]


def test_a_call_is_read_from_its_rich_status() -> None:
    rich = status(grpc.StatusCode.UNAVAILABLE, "the queue is full")
    failed = Failed(failed_code=grpc.StatusCode.UNAVAILABLE, message="x", rich=rich)
    error = error_of_call(failed, address="host:1", timeout=30)
    assert type(error) is UnavailableError
    assert str(error) == "the queue is full"


def test_the_request_id_is_found_in_the_metadata_too() -> None:
    rich = status(grpc.StatusCode.UNAVAILABLE, "the queue is full")
    failed = Failed(failed_code=grpc.StatusCode.UNAVAILABLE, message="x", rich=rich)
    assert error_of_call(failed, address="host:1", timeout=30).request_id == "r-9"


def test_a_call_without_a_rich_status_keeps_code_and_message() -> None:
    failed = Failed(failed_code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="larger than max")
    error = error_of_call(failed, address="host:1", timeout=30)
    assert isinstance(error, QuotaExceededError)
    assert str(error) == "larger than max"


def test_a_server_that_is_not_there_is_named_with_the_fix() -> None:
    message = "failed to connect to all addresses; last error: ipv4:1.2.3.4:5: Connection refused"
    failed = Failed(failed_code=grpc.StatusCode.UNAVAILABLE, message=message)
    error = error_of_call(failed, address="host:1", timeout=30)
    assert isinstance(error, ServerUnreachableError)
    assert str(error).startswith(
        "cannot reach a Dragoman server at host:1 (Connection refused); start one with `make serve`"
    )


def test_a_deadline_names_the_timeout() -> None:
    failed = Failed(failed_code=grpc.StatusCode.DEADLINE_EXCEEDED, message="Deadline Exceeded")
    error = error_of_call(failed, address="host:1", timeout=0.25)
    assert isinstance(error, DeadlineExceededError)
    assert "no answer from host:1 within 0.25 s" in str(error)


def test_errors_survive_pickling() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="a", description="b")
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            error = error_of_status(status(code, "why", bad))
            copy: DragomanClientError = pickle.loads(pickle.dumps(error))  # noqa: S301
            assert type(copy) is type(error)
            assert vars(copy) == vars(error)
            assert str(copy) == str(error)
