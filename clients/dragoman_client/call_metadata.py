"""A channel whose every call carries some metadata, for gRPC's own and for that of asyncio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Metadata = Sequence[tuple[str, str]]


class ChannelWithMetadata:
    """A channel that adds to the metadata of all its calls; it is otherwise the one it surrounds.

    It stands where an interceptor could: those of gRPC come in eight kinds, and turn the calls of
    asyncio into others.
    """

    def __init__(self, channel: Any, metadata: Metadata) -> None:
        self._surrounded = channel
        self._added = tuple(metadata)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._surrounded, name)

    def unary_unary(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return self._adding(self._surrounded.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return self._adding(self._surrounded.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return self._adding(self._surrounded.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return self._adding(self._surrounded.stream_stream(*arguments, **options))

    def _adding(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def start(*arguments: Any, metadata: Metadata | None = None, **options: Any) -> Any:
            return call(*arguments, metadata=(*(metadata or ()), *self._added), **options)

        return start
