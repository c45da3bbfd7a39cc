"""Messages of any type, from its descriptor alone: mostly sound, at the edges, or absurd."""

from __future__ import annotations

from collections.abc import Sequence
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
_TAME_TEXTS = ("king", "queen", "cat", "zebra", "Le chat dort.", "The cat sleeps.", "a b", "en")
_CONTENT = (
    "text",
    "words",
    "word",
    "source",
    "target",
    "prompt",
    "first",
    "second",
    "query",
    "name",
    "sources",
    "pairs",
    "queries",
    "questions",
    "texts",
    "segments",
    "test_sets",
    "images",
    "image",
    "content",
    "batch",
    "config",
    "item",
    "id",
    "a",
    "b",
    "c",
    "hypothesis",
    "references",
)
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (_SIGNED, 31, True),
    FieldDescriptor.CPPTYPE_INT64: ((*_SIGNED, 2**63 - 1, -(2**63)), 63, True),
    FieldDescriptor.CPPTYPE_UINT32: (_UNSIGNED, 32, False),
    FieldDescriptor.CPPTYPE_UINT64: ((*_UNSIGNED, 2**64 - 1), 64, False),
}


def messages(descriptor: Descriptor, models: Sequence[str] = ()) -> st.SearchStrategy[Message]:
    """Messages of the type; seven of ten are `tame`, that is sound but for a value here and there,
    so that what stands behind the checks of requests is reached. `models` are names of models."""
    return st.composite(_message)(descriptor, tuple(models))


def _message(draw: st.DrawFn, descriptor: Descriptor, models: tuple[str, ...]) -> Message:
    tame = draw(st.integers(0, 9)) < 7
    return _Drawing(draw, models, tame=tame).message(descriptor, 0)


class _Drawing:
    """How one message is drawn."""

    def __init__(self, draw: st.DrawFn, models: tuple[str, ...], *, tame: bool) -> None:
        self._draw = draw
        self._models = models
        self._tame = tame

    def message(self, descriptor: Descriptor, depth: int) -> Message:
        made: Any = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if not self._is_given(field, depth):
                continue
            if not field.is_repeated:
                self._set(made, field, depth)
                continue
            fewest = 1 if self._tame else 0
            for _ in range(self._draw(st.integers(fewest, _MOST_ITEMS))):
                self._add(getattr(made, field.name), field, depth)
        return made  # type: ignore[no-any-return]

    def _is_given(self, field: FieldDescriptor, depth: int) -> bool:
        """Whether it is: content mostly, options half of the time; when tame, few of those."""
        kind = field.message_type
        if kind is not None and (depth >= _DEEPEST or kind.GetOptions().map_entry):
            return False
        option = 1 if self._tame else 5
        chance = 9 if field.name in _CONTENT else option
        return self._draw(st.integers(0, 9)) < chance

    def _set(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is None:
            setattr(message, field.name, self._scalar(field))
        else:
            getattr(message, field.name).CopyFrom(self.message(field.message_type, depth + 1))

    def _add(self, items: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is None:
            items.append(self._scalar(field))
        else:
            items.add().CopyFrom(self.message(field.message_type, depth + 1))

    def _scalar(self, field: FieldDescriptor) -> Any:
        if self._tame and self._draw(st.integers(0, 19)):
            if field.full_name.endswith(".ModelSelector.name"):
                return self._draw(st.sampled_from((*self._models, *self._models, "", "none")))
            return self._draw(_tame_scalars(field))
        return self._draw(_scalars(field, (*_TEXTS, *self._models)))


def _tame_scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        return st.integers(1, 5)
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return st.sampled_from((0.0, 0.25, 0.5, 1.0))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    return st.sampled_from(_TAME_TEXTS)


def _scalars(field: FieldDescriptor, texts: tuple[str, ...]) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        edges, bits, signed = _INTEGERS[kind]
        low = -(2**bits) if signed else 0
        return st.one_of(st.sampled_from(edges), st.integers(low, 2**bits - 1))
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        narrow = kind == FieldDescriptor.CPPTYPE_FLOAT
        return st.one_of(st.sampled_from(_FLOATS), st.floats(width=32 if narrow else 64))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.enum_type is not None:
        known = [value.number for value in field.enum_type.values]
        return st.one_of(st.sampled_from(known), st.sampled_from((-1, 99, 2**31 - 1)))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    sound = st.characters(exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(texts), st.text(sound, max_size=20))
