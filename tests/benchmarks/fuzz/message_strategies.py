"""Messages of any type, from its descriptor alone: mostly sound, at the edges, or absurd."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_MOST_ITEMS = 3
_DEEPEST = 4

_UNSIGNED = (0, 1, 2, 3, 5, 10, 64, 65, 100, 1_000, 100_000, 2**31 - 1, 2**31, 2**32 - 1)
_SIGNED = (0, 1, 2, 5, 100, 2**31 - 1, -1, -(2**31))
_FLOATS = (0.0, -0.0, 0.5, 1.0, 2.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"))
_TEXTS = (
    "", " ", "a", "the", "king", "Le chat dort.", "The cat sleeps.", "\u0000", "\u202e", "é" * 50,
    "\U0001f600", "<unk>", "<s>", "%s%n{}", "../../etc/passwd", "x" * 5_000, "\n\r\t", "0", "1",
)  # fmt: skip
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (_SIGNED, 31, True),
    FieldDescriptor.CPPTYPE_INT64: ((*_SIGNED, 2**63 - 1, -(2**63)), 63, True),
    FieldDescriptor.CPPTYPE_UINT32: (_UNSIGNED, 32, False),
    FieldDescriptor.CPPTYPE_UINT64: ((*_UNSIGNED, 2**64 - 1), 64, False),
}


def messages(descriptor: Descriptor, texts: tuple[str, ...] = ()) -> st.SearchStrategy[Message]:
    """Messages of the type. `texts` are what its strings hold beside others: names of models, such
    as make a request one that is worked on."""
    return st.composite(_drawn)(descriptor, (*_TEXTS, *texts, *texts, *texts), 0)


def _drawn(draw: st.DrawFn, descriptor: Descriptor, texts: tuple[str, ...], depth: int) -> Message:
    message: Any = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if not draw(st.integers(0, 2)) or (depth >= _DEEPEST and field.message_type is not None):
            continue  # a third of the fields is left out
        if not field.is_repeated:
            _set(draw, message, field, texts, depth)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue  # the API has no maps in requests; a raw one is drawn as bytes
        else:
            for _ in range(draw(st.integers(0, _MOST_ITEMS))):
                _add(draw, getattr(message, field.name), field, texts, depth)
    return message  # type: ignore[no-any-return]


def _set(
    draw: st.DrawFn, message: Any, field: FieldDescriptor, texts: tuple[str, ...], depth: int
) -> None:
    if field.message_type is None:
        setattr(message, field.name, draw(_scalars(field, texts)))
    else:
        part = _drawn(draw, field.message_type, texts, depth + 1)
        getattr(message, field.name).CopyFrom(part)


def _add(
    draw: st.DrawFn, items: Any, field: FieldDescriptor, texts: tuple[str, ...], depth: int
) -> None:
    if field.message_type is None:
        items.append(draw(_scalars(field, texts)))
    else:
        items.add().CopyFrom(_drawn(draw, field.message_type, texts, depth + 1))


def _scalars(field: FieldDescriptor, texts: tuple[str, ...]) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        edges, bits, signed = _INTEGERS[kind]
        low = -(2**bits) if signed else 0
        return st.one_of(st.sampled_from(edges), st.integers(low, 2**bits - 1))
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        width = 32 if kind == FieldDescriptor.CPPTYPE_FLOAT else 64
        return st.one_of(st.sampled_from(_FLOATS), st.floats(width=width))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return st.one_of(st.sampled_from(known), st.sampled_from((-1, 99, 2**31 - 1)))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    sound = st.characters(exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(texts), st.text(sound, max_size=20))
