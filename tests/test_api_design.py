"""Laws of the API that hold for every service and message, read from the descriptors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.rpc import status_pb2

from dragoman.v1 import availability_pb2

REPOSITORY = Path(__file__).resolve().parent.parent
PROTOS = sorted((REPOSITORY / "proto" / "dragoman" / "v1").glob("*.proto"))
FILES: list[FileDescriptor] = [
    importlib.import_module(f"dragoman.v1.{path.stem}_pb2").DESCRIPTOR for path in PROTOS
]
SERVICES: list[ServiceDescriptor] = [s for f in FILES for s in f.services_by_name.values()]
METHODS: list[MethodDescriptor] = [m for service in SERVICES for m in service.methods]
MESSAGES: list[Descriptor] = [m for f in FILES for m in f.message_types_by_name.values()]


def _type_name(field: FieldDescriptor) -> str:
    return field.message_type.full_name if field.message_type is not None else ""


def _reachable(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    if message.full_name not in seen:
        seen.add(message.full_name)
        yield message
        for field in message.fields:
            if field.message_type is not None:
                yield from _reachable(field.message_type, seen)


def test_the_six_services_and_their_calls() -> None:
    calls = {service.name: {method.name for method in service.methods} for service in SERVICES}
    assert calls.keys() == {
        "EmbeddingService",
        "EvaluationService",
        "LanguageModelService",
        "ModelService",
        "TranslationService",
        "VisionService",
    }
    assert calls["EmbeddingService"] >= {"Embed", "Similarity", "Nearest", "Analogy"}
    assert calls["EvaluationService"] >= {"Score", "EvaluateTranslation"}
    assert calls["LanguageModelService"] >= {"Score", "Generate"}
    assert calls["ModelService"] >= {"ListModels", "GetModel", "LoadModel", "UnloadModel"}
    assert calls["TranslationService"] >= {"Translate", "TranslateStream"}
    assert calls["VisionService"] >= {"Classify", "Detect", "EmbedImage", "Verify"}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_a_request_names_its_model_first_and_the_answer_says_which_answered(
    method: MethodDescriptor,
) -> None:
    request = {message.name for message in _reachable(method.input_type, set())}
    answer = {message.name for message in _reachable(method.output_type, set())}
    if method.full_name.endswith((".ListModels", ".EvaluationService.Score")):
        assert "ModelSelector" not in request
    else:
        assert "ModelSelector" in request
        assert answer & {"ModelVersion", "ModelInfo"}
    for field in method.input_type.fields:
        if _type_name(field) == "dragoman.v1.ModelSelector":
            assert (field.name, field.number) == ("model", 1)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.full_name)
def test_a_result_is_a_value_or_a_status(message: Descriptor) -> None:
    statuses = [f for f in message.fields if _type_name(f) == "google.rpc.Status"]
    assert bool(statuses) == ("result" in message.oneofs_by_name)
    for status in statuses:
        assert status.name == "error"
        assert status.containing_oneof is not None
        assert [field.number for field in status.containing_oneof.fields] == [1, 2]
        assert len(message.fields) == 2


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.full_name)
def test_no_message_marks_its_every_field_as_not_yet_served(message: Descriptor) -> None:
    marked = [f.GetOptions().Extensions[availability_pb2.not_yet_served] for f in message.fields]
    assert not marked or not all(marked)


def test_a_default_enum_value_is_never_marked_as_not_yet_served() -> None:
    enums = [enum for file in FILES for enum in file.enum_types_by_name.values()]
    marks = {
        enum.full_name: [
            value.GetOptions().Extensions[availability_pb2.value_not_yet_served]
            for value in enum.values
        ]
        for enum in enums
    }
    assert not [name for name, values in marks.items() if values[0] or all(values[1:])]


def test_the_copy_of_status_proto_for_buf_is_the_installed_one() -> None:
    installed = Path(status_pb2.__file__).with_name("status.proto").read_bytes()
    copy = REPOSITORY / "third_party" / "googleapis" / "google" / "rpc" / "status.proto"
    assert copy.read_bytes() == installed
