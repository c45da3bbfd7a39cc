"""Addresses that cannot work are refused with the fix; retries and limits reach gRPC."""

from __future__ import annotations

import json

import pytest

from dragoman_client import Client, Retries
from dragoman_client.channel import channel_options, checked_address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:50051", "localhost:1", "server.example.org:65535", "[::1]:50051",
     "unix:/run/d.sock", "dns:///server:50051"],
)  # fmt: skip
def test_addresses_of_servers(address: str) -> None:
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "http://localhost:50051", "localhost:http", "localhost:65536", ":50051",
     "::1:50051", "a b:1", "localhost:50051/", "unix:"],
)  # fmt: skip
def test_other_addresses_are_refused_with_the_fix(address: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; give 127\.0\.0\.1:50051"):
        Client(address)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_timeouts_must_be_positive_numbers(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"timeout is .*; give a number above 0"):
        Client(timeout=timeout)


@pytest.mark.parametrize("attempts", [0, 6])
def test_retries_are_within_what_grpc_allows(attempts: int) -> None:
    with pytest.raises(ValueError, match=f"attempts is {attempts}; give 1 to 5"):
        Retries(attempts=attempts)


def test_retries_become_a_policy_for_every_method_that_has_one_request() -> None:
    retries = Retries(attempts=3, initial_backoff=0.25, max_backoff=1.5, multiplier=3.0)
    options = dict(channel_options("server:1", retries=retries, max_answer_bytes=7))
    config, streams = json.loads(str(options["grpc.service_config"]))["methodConfig"]
    assert {name["method"] for name in streams["name"]} == {
        "EmbedStream", "NearestStream", "TranslateStream",
    }  # fmt: skip
    assert "retryPolicy" not in streams
    assert config["name"] == [{}]
    assert config["retryPolicy"] == {
        "maxAttempts": 3,
        "initialBackoff": "0.250000000s",
        "maxBackoff": "1.500000000s",
        "backoffMultiplier": 3.0,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    assert options["grpc.max_receive_message_length"] == 7


def test_a_proxy_is_not_asked_for_a_server_on_this_machine() -> None:
    def asks_proxy(address: str) -> bool:
        options = dict(channel_options(address, retries=Retries(), max_answer_bytes=1))
        return options.get("grpc.enable_http_proxy", 1) == 1

    assert not asks_proxy("127.0.0.1:50051")
    assert not asks_proxy("localhost:50051")
    assert not asks_proxy("[::1]:50051")
    assert asks_proxy("127.example.org:50051")
