"""What is not served is refused by name, at any depth, from the marks in the API alone."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from dragoman.v1 import (
    availability_pb2,
    embedding_service_pb2,
    model_service_pb2,
    translation_service_pb2,
)
from dragoman_models.errors import InvalidInputError, LimitExceededError
from dragoman_server.request_checks import RejectedRequest, check_request, checked_deserializer

Translate = translation_service_pb2.TranslateRequest
Nearest = embedding_service_pb2.NearestRequest


def fields_refused(request: Message) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        check_request(request)
    return [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("request_text", "fields"),
    [
        ({"options": {"repetition_penalty": 0}}, []),
        ({"options": {"early_stopping": 2, "min_length": 0}}, []),
        ({"options": {"early_stopping": 9}}, ["options.early_stopping"]),
        ({"options": {"sentence_splitting": 3}}, ["options.sentence_splitting"]),
        ({"options": {"sentence_splitting": 2, "sampling": {}}}, []),
        (
            {"sources": [{}, {"text": "a", "banned_phrases": ["b"]}, {"required_phrases": ["c"]}]},
            [],
        ),
        ({"model": {"name": "a", "version": 3}, "options": {"return_tokens": True}}, []),
    ],
)
def test_marked_fields_and_values_of_translate(
    request_text: dict[str, object], fields: list[str]
) -> None:
    request = Translate(**request_text)  # type: ignore[arg-type]
    if fields:
        assert fields_refused(request) == fields
    else:
        check_request(request)


def test_unknown_numbers_of_a_repeated_enum() -> None:
    request = model_service_pb2.ListModelsRequest(states=[1, 99, 2, -1])  # type: ignore[list-item]
    assert fields_refused(request) == ["states[1]", "states[3]"]


def test_all_options_of_all_requests_are_served() -> None:
    marked = [
        f"{message.DESCRIPTOR.full_name}: {field.name}"
        for message in (Translate, Nearest, embedding_service_pb2.AnalogyRequest)
        for options in message.DESCRIPTOR.fields
        if options.name == "options" and options.message_type is not None
        for field in options.message_type.fields
        if field.GetOptions().Extensions[availability_pb2.not_yet_served]
    ]
    assert marked == []


def deserialize(data: bytes, most_bytes: int = 1_000) -> Message | RejectedRequest:
    return checked_deserializer(Translate.FromString, Translate.DESCRIPTOR, most_bytes)(data)


@given(st.text(max_size=50).filter(lambda text: text.isprintable()))
def test_what_decodes_is_passed_on(text: str) -> None:
    request = Translate(sources=[{"text": text}])  # type: ignore[list-item]
    assert deserialize(request.SerializeToString()) == request


def test_a_long_message_is_refused_with_both_lengths() -> None:
    data = Translate(model={"name": "x" * 1_000}).SerializeToString()  # type: ignore[arg-type]
    rejected = deserialize(data)
    assert isinstance(rejected, RejectedRequest)
    assert isinstance(rejected.error, LimitExceededError)
    assert f"{len(data):,}" in str(rejected.error)
    assert "1,000" in str(rejected.error)


def test_text_that_is_not_utf8_is_named() -> None:
    good = b"\x12\x04\n\x02ok"  # sources { text: "ok" }
    bad = b"\x12\x04\n\x02\xff\xfe"
    rejected = deserialize(b"\n\x03\n\x01\x80" + good + bad + good + bad)
    assert isinstance(rejected, RejectedRequest)
    assert isinstance(rejected.error, InvalidInputError)
    assert [violation.field for violation in rejected.error.violations] == [
        "model.name",
        "sources[1].text",
        "sources[3].text",
    ]


@given(st.binary(max_size=60))
def test_no_bytes_at_all_make_the_decoder_fail(data: bytes) -> None:
    decoded = deserialize(data)
    assert isinstance(decoded, Translate | RejectedRequest)
    if isinstance(decoded, RejectedRequest):
        assert isinstance(decoded.error, InvalidInputError)
