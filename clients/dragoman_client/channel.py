"""How the clients reach a server: its address, and gRPC's own retries, limits and time-outs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from dragoman.v1 import embedding_service_pb2, translation_service_pb2

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 30.0
LONGEST_EVALUATION = 300.0  # seconds: the longest call that a server allows by default
DEFAULT_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_HOST_AND_PORT = re.compile(r"([^\s/:\[\]]+|\[[0-9A-Fa-f:.]+(%\w+)?\]):(?P<port>\d{1,5})")
_RESOLVER = re.compile(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds):.+")
_ON_THIS_MACHINE = re.compile(
    r"((dns|ipv4|ipv6):/*)?(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+|unix(-abstract)?:.+"
)


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often and how fast a call that found the server UNAVAILABLE is sent again.

    Where the server says how long to wait (``grpc-retry-pushback-ms``), that holds; where it says
    not to retry, the call fails at once. The deadline of the call always holds. A stream of
    requests is sent again only until its first answer.

    Attributes:
        attempts: in all, 1 (no retry) to 5 (the most that gRPC allows).
        initial_backoff: seconds before the second attempt, give or take a fifth at random.
        max_backoff: the longest pause in seconds.
        multiplier: by which each pause is longer than the one before.
    """

    attempts: int = 5
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 5:
            raise ValueError(f"attempts is {self.attempts}; give 1 to 5")
        for name in ("initial_backoff", "max_backoff", "multiplier"):
            checked_seconds(getattr(self, name), name)


def checked_seconds(value: float, name: str = "timeout") -> float:
    """``value`` if it is a finite number above 0; ValueError otherwise."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; give a number above 0")
    return value


DEFAULT_RETRIES = Retries()


def checked_address(address: str) -> str:
    """``address`` if a server can be found by it; ValueError with the fix otherwise.

    gRPC itself would try port 443 where none is given, and look up the host "http" in a URL.
    """
    match = _HOST_AND_PORT.fullmatch(address)
    if (match and int(match["port"]) < 65536) or _RESOLVER.fullmatch(address):
        return address
    raise ValueError(f"the server's address {address!r} is not HOST:PORT; give {DEFAULT_ADDRESS}")


def is_on_this_machine(address: str) -> bool:
    """Whether what is sent to ``address`` leaves this machine for certain not."""
    return _ON_THIS_MACHINE.fullmatch(address) is not None


def channel_options(
    address: str, *, retries: Retries, max_answer_bytes: int
) -> list[tuple[str, str | int]]:
    """Options of a gRPC channel to ``address``."""
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", max_answer_bytes),
        ("grpc.enable_retries", int(retries.attempts > 1)),
        # A call whose request does not fit into this buffer would silently not be retried.
        ("grpc.per_rpc_retry_buffer_size", 64 * 1024 * 1024),
        # A server that was just restarted is found again within the retries of a call.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if retries.attempts > 1:
        options.append(("grpc.service_config", _service_config(retries)))
    if is_on_this_machine(address):
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _service_config(retries: Retries) -> str:
    policy = {
        "maxAttempts": retries.attempts,
        "initialBackoff": f"{retries.initial_backoff:.9f}s",
        "maxBackoff": f"{retries.max_backoff:.9f}s",
        "backoffMultiplier": retries.multiplier,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    # gRPC's own retry of a call with several requests loses some of them, and may end the process
    # (seen with 1.85): the clients send a stream again themselves (`stream_retries`).
    streams = [
        {"service": service.full_name, "method": method.name}
        for file in (embedding_service_pb2, translation_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.client_streaming
    ]
    return json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}, {"name": streams}]})
