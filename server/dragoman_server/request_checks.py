"""What every request must pass before a service sees it, whatever its type.

- It is no longer than the limit, it decodes, and its text is UTF-8.
- It sets no field and no enum value that the API marks as not yet served (availability.proto), and
  no enum number that the API does not know. Nothing is ignored in silence.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumValueDescriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from dragoman.v1 import availability_pb2
from dragoman_models.errors import FieldViolation, InvalidInputError, LimitExceededError

_NOT_SERVED = "is not served yet by this version; leave it unset"
_LENGTH_DELIMITED = 2  # the wire type of strings, bytes, messages and packed numbers


class RejectedRequest:
    """Stands in for a request that could not be decoded, until an error can be answered."""

    def __init__(self, error: InvalidInputError | LimitExceededError) -> None:
        self.error = error


def checked_deserializer(
    deserialize: Callable[[bytes], Message], descriptor: Descriptor, most_bytes: int
) -> Callable[[bytes], "Message | RejectedRequest"]:
    """`deserialize` with an answer for what it cannot read.

    gRPC itself answers INTERNAL where a deserializer raises, so this one returns the error.
    """

    def checked(data: bytes) -> Message | RejectedRequest:
        if len(data) > most_bytes:
            return RejectedRequest(_too_long(len(data), most_bytes))
        try:
            return deserialize(data)
        except DecodeError:
            return RejectedRequest(_undecodable(data, descriptor))

    return checked


def check_request(request: Message) -> None:
    """Raise `InvalidInputError` with every field that is not served or not known."""
    violations = list(_unavailable(request, ""))
    if violations:
        raise InvalidInputError(violations)


def _too_long(size: int, most_bytes: int) -> LimitExceededError:
    return LimitExceededError(
        "request message",
        f"has {size:,} bytes; this server takes at most {most_bytes:,}: send fewer items a call",
    )


def _undecodable(data: bytes, descriptor: Descriptor) -> InvalidInputError:
    try:
        wrong = list(_not_utf8(data, descriptor, ""))
    except DecodeError:
        wrong = []
    if wrong:
        text = "is not UTF-8; send text encoded as UTF-8"
        return InvalidInputError([FieldViolation(field=path, description=text) for path in wrong])
    return InvalidInputError.single(
        "request", f"is not a message of the type {descriptor.full_name}; send one"
    )


def _not_utf8(data: bytes, descriptor: Descriptor, root: str) -> Iterator[str]:
    """Paths of the strings in the encoded message that are not UTF-8."""
    seen: dict[int, int] = {}
    unknown: Any = UnknownFieldSet(Empty.FromString(data))  # every field is, to Empty
    for encoded in unknown:
        field: Any = descriptor.fields_by_number.get(encoded.field_number)
        if field is None or encoded.wire_type != _LENGTH_DELIMITED:
            continue
        position = seen[field.number] = seen.get(field.number, -1) + 1
        path = f"{root}{field.name}[{position}]" if field.is_repeated else f"{root}{field.name}"
        if field.type == FieldDescriptor.TYPE_STRING and not _is_utf8(encoded.data):
            yield path
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            yield from _not_utf8(encoded.data, field.message_type, f"{path}.")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unavailable(message: Message, root: str) -> Iterator[FieldViolation]:
    checked = _checked_fields(message.DESCRIPTOR)
    if not checked:
        return
    for field, value in message.ListFields():
        if field.number not in checked:
            continue
        if _is_not_served(field):
            yield FieldViolation(field=f"{root}{field.name}", description=_NOT_SERVED)
            continue
        for path, item in _items(field, value, root):
            if field.type == FieldDescriptor.TYPE_ENUM:
                yield from _wrong_enum(field, item, path)
            else:
                yield from _unavailable(item, f"{path}.")


def _items(field: FieldDescriptor, value: Any, root: str) -> Iterator[tuple[str, Any]]:
    if field.is_repeated:
        for position, item in enumerate(value):
            yield f"{root}{field.name}[{position}]", item
    else:
        yield f"{root}{field.name}", value


def _wrong_enum(field: Any, number: int, path: str) -> Iterator[FieldViolation]:
    known = field.enum_type.values_by_number
    value = known.get(number)
    if value is None:
        served = ", ".join(v.name for v in known.values() if _is_served(v))
        text = f"is {number}, which is no {field.enum_type.name}; give one of {served}"
        yield FieldViolation(field=path, description=text)
    elif not _is_served(value):
        yield FieldViolation(field=path, description=f"{value.name} {_NOT_SERVED}")


@cache
def _is_not_served(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[availability_pb2.not_yet_served])


@cache
def _is_served(value: EnumValueDescriptor) -> bool:
    return not value.GetOptions().Extensions[availability_pb2.value_not_yet_served]


@cache
def _checked_fields(descriptor: Descriptor) -> frozenset[int]:
    """Numbers of the fields at or below which something may be refused; the rest is passed over."""
    return frozenset(
        field.number for field in descriptor.fields if _may_be_refused(field, frozenset())
    )


def _may_be_refused(field: Any, above: frozenset[str]) -> bool:
    if field.GetOptions().Extensions[availability_pb2.not_yet_served]:
        return True
    if field.type == FieldDescriptor.TYPE_ENUM:
        return True
    if field.type != FieldDescriptor.TYPE_MESSAGE or field.message_type.full_name in above:
        return False
    inside = above | {field.message_type.full_name}
    return any(_may_be_refused(below, inside) for below in field.message_type.fields)
