"""What the fields of all requests are made with."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from dragoman.v1.model_pb2 import ModelSelector
from dragoman_client.errors import InvalidRequestError
from dragoman_client.results import ModelVersion

_Number = TypeVar("_Number", covariant=True)

Model = str | ModelVersion
"""A model by name, or one version of it; the empty name is the server's default."""


def model_selector(model: Model, path: str = "model") -> ModelSelector:
    """Which model is asked for; raises InvalidRequestError for what no message can hold."""
    if isinstance(model, str):
        return ModelSelector(name=text_field(model, f"{path}.name"))
    selector = ModelSelector(name=text_field(model.name, f"{path}.name"))
    set_number(selector, "version", model.version, f"{path}.version")
    return selector


def set_number(
    message: Message, name: str, value: float | None, path: str, *, bits: int = 32
) -> None:
    """Sets a field unless the value is None; raises InvalidRequestError where it cannot hold it."""
    if value is None:
        return
    try:
        setattr(message, name, value)
    except ValueError:
        raise InvalidRequestError.single(
            path, f"is {value}; give a whole number from 0 to {2**bits - 1:,}"
        ) from None


def text_field(text: str, path: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequestError.single(
            path, f"character {error.start + 1} is a lone surrogate, not text; give valid UTF-8"
        ) from None
    return text


def text_fields(texts: Sequence[str], path: str) -> list[str]:
    if isinstance(texts, str):  # else its characters would be taken one by one
        raise InvalidRequestError.single(path, "is one text; give a list of them")
    return [text_field(text, f"{path}[{i}]") for i, text in enumerate(texts)]


class _Numbers(Protocol[_Number]):
    """A generated enum: the numbers of its values, by name."""

    def Value(self, name: str) -> _Number: ...  # noqa: N802 - protobuf's name


def enum_number(numbers: _Numbers[_Number], prefix: str, member: enum.Enum) -> _Number:
    """The API's number for a member of one of the client's enums."""
    return numbers.Value(f"{prefix}_{member.value.upper()}")


def check_counts(field: str, count: int, items: str, wanted: int) -> None:
    if count != wanted:
        raise InvalidRequestError.single(
            field, f"there are {count:,} for {wanted:,} {items}; give one for each"
        )
