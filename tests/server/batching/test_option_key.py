"""Equal keys for equal options, and for no others."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.search.beam_search import EarlyStopping
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_server.batching.option_key import HashedKey, option_key, request_key


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Options of kinds that nobody has used yet."""

    table: dict[str, list[str]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    other: Any = None


def test_equal_options_have_equal_keys() -> None:
    assert option_key(TranslationOptions()) == option_key(TranslationOptions(beam_width=5))
    assert option_key(Terms(table={"a": ["b"]})) == option_key(Terms(table={"a": ["b"]}))
    assert hash(option_key(Terms(table={"a": ["b"]}))) is not None


def test_every_field_of_the_options_counts() -> None:
    other = {int: 3, float: 0.7, bool: True, EarlyStopping: EarlyStopping.NEVER}
    plain = TranslationOptions()
    for one in fields(TranslationOptions):
        value = getattr(plain, one.name)
        changes: dict[str, Any] = {one.name: other.get(type(value), "anything else")}
        changed = replace(plain, **changes)
        assert option_key(changed) != option_key(plain), one.name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Terms(table={"a": ["b"]}), Terms(table={"a": ["c"]})),
        (Terms(names=frozenset("a")), Terms(names=frozenset("b"))),
        (Terms(other=1), Terms(other=1.0)),
        (Terms(other=1), Terms(other=True)),
        (Terms(other=["a"]), Terms(other=("a",))),
        (Terms(other=bytearray(b"a")), Terms(other=bytearray(b"b"))),
    ],
)
def test_different_options_have_different_keys(first: Terms, second: Terms) -> None:
    assert option_key(first) != option_key(second)


def test_what_cannot_be_compared_equals_only_itself() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

    one = Unhashable()
    assert option_key(Terms(other=one)) == option_key(Terms(other=one))
    assert option_key(Terms(other=one)) != option_key(Terms(other=Unhashable()))


def test_a_request_without_its_items_and_its_model() -> None:
    def request(text: str, model: str, **options: Any) -> pb.TranslateRequest:
        made = pb.TranslateRequest(options=pb.TranslationOptions(**options))
        made.sources.add(text=text)
        made.model.name = model
        return made

    key = request_key(request("a", "m", beam_width=2), "sources")
    assert key == request_key(request("b", "", beam_width=2), "sources")
    assert key != request_key(request("a", "m", beam_width=3), "sources")
    assert key != request_key(request("a", "m"), "sources")


def test_a_hashed_key_equals_what_its_value_does() -> None:
    one, same, other = (HashedKey(("beam", width)) for width in (5, 5, 6))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != ("beam", 5)
