"""What the methods ask of the client that has them."""

from __future__ import annotations

import abc
from typing import TypeVar

from google.protobuf.message import Message

from dragoman_client.calls import Call

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")


class Calling(abc.ABC):
    """Sends a call and waits for its answer."""

    @abc.abstractmethod
    def _run(self, call: Call[Response, Answer], timeout: float | None) -> Answer: ...
