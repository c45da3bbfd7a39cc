"""The quotas of tokens: calls and characters a minute."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from dragoman_models.errors import LimitExceededError
from dragoman_server.errors import QuotaExceededError
from dragoman_server.security.allowance import Allowance
from dragoman_server.security.grant import Grant

_CALLS, _CHARACTERS = "calls", "characters"


class Quotas:
    """What the tokens have left. Those of one name share its quotas."""

    def __init__(self) -> None:
        self._allowances: dict[tuple[str, str], Allowance] = {}

    def charge(self, grant: Grant, request: object) -> None:
        """Count a request message. Raises `QuotaExceededError`, and
        `LimitExceededError` for one that no waiting would help.

        In a stream, every message counts as a call.
        """
        if grant.calls_per_minute is not None:
            self._take(grant, _CALLS, grant.calls_per_minute, 1)
        if grant.characters_per_minute is not None and isinstance(request, Message):
            self._take(grant, _CHARACTERS, grant.characters_per_minute, characters_in(request))

    def _take(self, grant: Grant, unit: str, per_minute: int, units: int) -> None:
        key = grant.name, unit
        allowance = self._allowances.get(key)
        if allowance is None or allowance.per_minute != per_minute:
            allowance = self._allowances[key] = Allowance(per_minute)
        seconds = allowance.take(units)
        if seconds == 0:
            return
        quota = f"may send {per_minute:,} {unit} a minute"
        subject = f"token {grant.name}"
        if math.isinf(seconds):
            text = f"{quota}, and this request has {units:,}; send fewer at a time"
            raise LimitExceededError(subject, text)
        text = f"{quota}; try again in {math.ceil(seconds)} s"
        raise QuotaExceededError(subject, text, retry_after_seconds=seconds)


def characters_in(message: Message) -> int:
    """Characters (code points) of all strings in a message."""
    return sum(_lengths(message))


def _lengths(message: Message) -> Iterator[int]:
    with_text = _fields_with_text(message.DESCRIPTOR)
    for field, value in message.ListFields():
        if field.number not in with_text:
            continue
        values: Any = value if field.is_repeated else (value,)
        if field.type == FieldDescriptor.TYPE_STRING:
            yield from map(len, values)
        else:
            for one in values:
                yield from _lengths(one)


@cache
def _fields_with_text(descriptor: Descriptor) -> frozenset[int]:
    """Numbers of the fields that hold a string, or a message: the rest is passed over."""
    kinds = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE)
    return frozenset(
        field.number for field in descriptor.fields if field.type in kinds and not _is_map(field)
    )


def _is_map(field: Any) -> bool:
    message = field.message_type
    return message is not None and bool(message.GetOptions().map_entry)
