"""Refuses requests that no service should see: too long, undecodable, or not yet served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from dragoman_server.request_checks import (
    RejectedRequest,
    check_request,
    checked_deserializer,
)


class RequestChecking:
    """Applies `request_checks` to each request message of Dragoman's services."""

    def __init__(self, most_bytes: int, *, of_services: Mapping[str, int] | None = None) -> None:
        """`most_bytes` of a message; `of_services` has other limits by a service's full name."""
        self._most_bytes = most_bytes
        self._of_services = of_services or {}

    def deserializer(
        self, method: str, deserialize: Callable[[bytes], Any]
    ) -> Callable[[bytes], Any]:
        """What reads the requests of `method`, and rejects what `deserialize` cannot read."""
        service = method.removeprefix("/").rpartition("/")[0]
        most_bytes = self._of_services.get(service, self._most_bytes)
        return checked_deserializer(deserialize, _request_type(method), most_bytes)

    def check(self, request: Any) -> None:
        """Raises the error of a request that was rejected, or that holds what is not served."""
        if isinstance(request, RejectedRequest):
            raise request.error
        check_request(request)


def _request_type(method: str) -> Descriptor:
    service, _, name = method.removeprefix("/").rpartition("/")
    pool = descriptor_pool.Default()
    found: Descriptor = pool.FindServiceByName(service).methods_by_name[name].input_type
    return found
