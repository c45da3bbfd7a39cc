"""Tokens and TLS of the clients: what is sent, where it is not, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2

from dragoman.v1 import (
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    translation_service_pb2_grpc,
)
from dragoman_client import AsyncClient, Client, ServerUnreachableError, Tls
from dragoman_client.channel import Retries, channel_options, is_on_this_machine
from dragoman_client.connecting import connection_to

if TYPE_CHECKING:
    from tests.conftest import Authority

Authorities = Callable[[str], "Authority"]
_UNKNOWN = embedding_service_pb2.EmbedResult(error=status_pb2.Status(code=5, message="unknown"))
TOKEN = "dragoman_0123456789ab_" + "s" * 43


class Seen(
    model_service_pb2_grpc.ModelServiceServicer,
    embedding_service_pb2_grpc.EmbeddingServiceServicer,
    translation_service_pb2_grpc.TranslationServiceServicer,
):
    """Keeps the authorization of each call."""

    def __init__(self) -> None:
        self.authorizations: list[list[str | bytes]] = []

    def _keep(self, context: Any) -> None:
        metadata = context.invocation_metadata()
        self.authorizations.append([one.value for one in metadata if one.key == "authorization"])

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._keep(context)
        return model_service_pb2.ListModelsResponse(models=[model_pb2.ModelInfo(name="m")])

    def EmbedStream(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self._keep(context)
        for request in requests:
            results = [_UNKNOWN] * len(request.batch.words)
            yield embedding_service_pb2.EmbedStreamResponse(
                batch=embedding_service_pb2.EmbedResponse(results=results)
            )


@dataclass(frozen=True, kw_only=True)
class SeeingServer:
    """A server that keeps what it was sent."""

    plain: str
    encrypted: str
    ca_file: Path
    seen: Seen = field(default_factory=Seen)


@pytest.fixture
def seeing(new_authority: Authorities) -> Iterator[SeeingServer]:
    authority = new_authority("ours")
    certificate, key = authority.issue("server.example.org")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    server = grpc.server(futures.ThreadPoolExecutor(4))
    seen = Seen()
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(seen, server)
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(seen, server)
    plain = server.add_insecure_port("127.0.0.1:0")
    encrypted = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield SeeingServer(
        plain=f"127.0.0.1:{plain}",
        encrypted=f"127.0.0.1:{encrypted}",
        ca_file=authority.ca_file,
        seen=seen,
    )
    server.stop(None).wait()


def test_a_token_goes_with_every_call_over_tls_and_on_this_machine(seeing: SeeingServer) -> None:
    tls = Tls(ca_file=seeing.ca_file)
    for address, security in ((seeing.plain, None), (seeing.encrypted, tls)):
        with Client(address, tls=security, token=TOKEN) as client:
            assert len(client.list_models()) == 1
            assert len(list(client.embed_stream(["a", "b"]))) == 2
    assert seeing.seen.authorizations == [[f"Bearer {TOKEN}"]] * 4


async def test_a_token_goes_with_every_call_of_the_asynchronous_client(
    seeing: SeeingServer,
) -> None:
    tls = Tls(ca_file=seeing.ca_file)
    for address, security in ((seeing.plain, None), (seeing.encrypted, tls)):
        async with AsyncClient(address, tls=security, token=TOKEN) as client:
            assert len(await client.list_models()) == 1
            assert len([one async for one in client.embed_stream(["a", "b"])]) == 2
    assert seeing.seen.authorizations == [[f"Bearer {TOKEN}"]] * 4


def test_without_a_token_none_is_sent(seeing: SeeingServer) -> None:
    with Client(seeing.encrypted, tls=Tls(ca_file=str(seeing.ca_file))) as client:
        client.list_models()
    assert seeing.seen.authorizations == [[]]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "address",
    ["server:1", "192.0.2.1:1", "[2001:db8::1]:1", "dns:///server:1", "127.evil.example:1",
     "localhost.evil.example:1", "ipv4:192.0.2.1:1", "127.0.0.1.evil.example:1"],
)  # fmt: skip
def test_no_token_is_sent_in_plaintext_over_the_network(kind: type, address: str) -> None:
    with pytest.raises(ValueError, match=r"is not sent to .* in plaintext") as caught:
        kind(address, token=TOKEN)
    assert TOKEN not in str(caught.value)
    kind(address, token=TOKEN, tls=Tls())
    kind(address)


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "ipv4:127.0.0.1:1",
     "unix:/run/d.sock"],
)  # fmt: skip
def test_on_this_machine_a_token_needs_no_tls_and_meets_no_proxy(address: str) -> None:
    assert is_on_this_machine(address)
    Client(address, token=TOKEN).close()
    options = dict(channel_options(address, retries=Retries(), max_answer_bytes=1))
    assert options["grpc.enable_http_proxy"] == 0


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "é", "a\x00"])
def test_what_cannot_be_a_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(ValueError, match="no token has"):
        Client(token=token)


def test_a_connection_does_not_show_its_token() -> None:
    connection = connection_to(
        "localhost:1", retries=Retries(), max_answer_bytes=1, tls=None, token=TOKEN
    )
    assert TOKEN not in repr(connection)


def test_a_certificate_of_others_or_for_another_name_is_not_accepted(
    seeing: SeeingServer, new_authority: Authorities
) -> None:
    once = Retries(attempts=1)
    theirs = Tls(ca_file=new_authority("theirs").ca_file)
    other_name = Tls(ca_file=seeing.ca_file, server_name="other.example.org")
    for tls in (theirs, other_name):
        with (
            Client(seeing.encrypted, tls=tls, token=TOKEN, retries=once, timeout=30) as client,
            pytest.raises(ServerUnreachableError),
        ):
            client.list_models()
    assert seeing.seen.authorizations == []
    right_name = Tls(ca_file=seeing.ca_file, server_name="server.example.org")
    with Client(seeing.encrypted, tls=right_name) as client:
        assert len(client.list_models()) == 1


def test_files_that_are_not_what_they_should_be_are_refused(
    new_authority: Authorities, tmp_path: Path
) -> None:
    authority = new_authority("ours")
    certificate, key = authority.issue("client")
    _, other_key = authority.issue("other")
    missing = tmp_path / "none.pem"
    for tls, message in (
        (Tls(ca_file=missing), "cannot be read"),
        (Tls(ca_file=key), "holds no certificates"),
        (Tls(certificate_file=certificate, key_file=other_key), "no certificate chain"),
        (Tls(certificate_file=missing, key_file=key), "cannot be read"),
    ):
        with pytest.raises(ValueError, match=message):
            Client(tls=tls)
    with pytest.raises(ValueError, match="give both"):
        Tls(certificate_file=certificate)
