"""Calls of every method of the API, with messages of its type, damaged ones, and mere bytes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from hypothesis import strategies as st
from tests.benchmarks.fuzz.message_strategies import messages

import dragoman.v1

_MOST_MESSAGES = 3
_MOST_ANSWERS = 200
DEFECTS = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED"})
"""Statuses that no request excuses, where the caller did not cancel."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method, as its descriptor has it."""

    path: str
    request: Descriptor
    streams_requests: bool
    streams_answers: bool


@dataclass(frozen=True, kw_only=True)
class FuzzedCall:
    """A call that can be repeated: bytes, whatever they mean."""

    method: Method
    messages: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"{self.method.path} {[message.hex() for message in self.messages]}"


def all_methods() -> list[Method]:
    """Of all services in `dragoman.v1`; who adds a service has it called."""
    found = []
    for module in pkgutil.iter_modules(dragoman.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"dragoman.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                found += [_method(one) for one in service.methods]
    return found


def _method(method: MethodDescriptor) -> Method:
    return Method(
        path=f"/{method.containing_service.full_name}/{method.name}",
        request=method.input_type,
        streams_requests=method.client_streaming,
        streams_answers=method.server_streaming,
    )


def fuzzed_calls(
    methods: Sequence[Method], models: Sequence[str] = ()
) -> st.SearchStrategy[FuzzedCall]:
    """Calls of any of the methods. `models` are names of models that are there; ModelService does
    not get to know them, for it would unload them."""
    return st.sampled_from(methods).flatmap(lambda method: _calls(method, tuple(models)))


def _calls(method: Method, models: tuple[str, ...]) -> st.SearchStrategy[FuzzedCall]:
    texts = () if "ModelService" in method.path else models
    sound = messages(method.request, texts).map(lambda message: message.SerializeToString())
    one = st.one_of(sound, sound, sound, _damaged(sound), st.binary(max_size=200))
    many = st.lists(one, max_size=_MOST_MESSAGES) if method.streams_requests else st.tuples(one)
    return many.map(lambda sent: FuzzedCall(method=method, messages=tuple(sent)))


@st.composite
def _damaged(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """A message cut short, with a byte changed, or with bytes between."""
    whole = draw(sound)
    place = draw(st.integers(0, len(whole)))
    between = draw(st.binary(max_size=5))
    return whole[:place] + between + whole[place + draw(st.integers(0, 3)) :]


def status_of(channel: grpc.Channel, call: FuzzedCall, seconds: float) -> tuple[str, str]:
    """The name of the status that a call ends with, and its message.

    A stream is read for up to 200 answers; more is taken for an OK.
    """
    kind = ("stream" if call.method.streams_requests else "unary") + "_"
    kind += "stream" if call.method.streams_answers else "unary"
    start = getattr(channel, kind)(call.method.path)
    sent = iter(call.messages) if call.method.streams_requests else call.messages[0]
    try:
        if not call.method.streams_answers:
            start(sent, timeout=seconds)
            return "OK", ""
        stream = start(sent, timeout=seconds)
        for number, _ in enumerate(stream):
            if number >= _MOST_ANSWERS:
                stream.cancel()
                return "OK", "there is more"
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""
