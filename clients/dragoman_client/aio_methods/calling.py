# Made from methods/calling.py by scripts/generate_async_client.py.
# Change that file, then run `make async-client`.
# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""What the methods ask of the client that has them."""

from __future__ import annotations

import abc
from typing import TypeVar

from google.protobuf.message import Message

from dragoman_client.calls import Call

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")


class AsyncCalling(abc.ABC):
    """Sends a call and waits for its answer."""

    @abc.abstractmethod
    async def _run(self, call: Call[Response, Answer], timeout: float | None) -> Answer: ...
