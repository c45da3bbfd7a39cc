"""Options as the key of a batch: equal keys mean the same answers."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any

from google.protobuf.message import Message


def option_key(options: Any) -> Hashable:
    """A hashable value that is equal for equal options, whatever they are made of.

    Dataclasses are taken apart field by field, so a new field counts from the day it is added.
    What cannot be compared by value is compared by identity: it is gathered less, never wrongly.
    """
    if dataclasses.is_dataclass(options) and not isinstance(options, type):
        fields = dataclasses.fields(options)
        parts = tuple((one.name, option_key(getattr(options, one.name))) for one in fields)
        return (type(options), parts)
    if isinstance(options, Message):
        return (type(options), options.SerializeToString(deterministic=True))
    if isinstance(options, Mapping):
        items = tuple((option_key(key), option_key(value)) for key, value in options.items())
        return (type(options), items)
    if isinstance(options, Sequence) and not isinstance(options, str | bytes):
        return (type(options), tuple(option_key(one) for one in options))
    if isinstance(options, Set):
        return (type(options), frozenset(option_key(one) for one in options))
    return _of_scalar(options)


def request_key(request: Message, *items: str) -> Hashable:
    """The same for all fields of a request that are set, but for the model and `items`."""
    return tuple(
        (field.number, option_key(value))
        for field, value in request.ListFields()
        if field.name not in ("model", *items)
    )


def _of_scalar(value: Any) -> Hashable:
    if isinstance(value, Hashable):
        return (type(value), value)  # 1, 1.0 and True are equal, but not the same option
    return _Identity(value)


class HashedKey:
    """A key whose hash is taken once: batches are gathered by looking it up again and again."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Hashable) -> None:
        self._value = value
        self._hash = hash(value)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, HashedKey) and other._value == self._value

    def __hash__(self) -> int:
        return self._hash


class _Identity:
    """Equal only for the very same object, which it keeps alive."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)
