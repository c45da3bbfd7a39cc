"""TLS: who is let in, that renewed certificates are taken, and that broken ones are not."""

from __future__ import annotations

import shutil
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509

from dragoman.v1 import model_service_pb2, model_service_pb2_grpc
from dragoman_server.config import ServerSettings, load_settings
from dragoman_server.errors import ConfigError
from dragoman_server.security.server_credentials import server_credentials
from dragoman_server.security.tls import ServerCertificates

if TYPE_CHECKING:
    from tests.conftest import Authority
    from tests.server.conftest import ServerFactory

Authorities = Callable[[str], "Authority"]


def settings_of(authority: Authority, **more: object) -> dict[str, Any]:
    certificate, key = authority.issue("server")
    return {"tls": {"certificate": certificate, "key": key, **more}}


async def listed(address: str, credentials: grpc.ChannelCredentials) -> int:
    """How many models a client with these credentials sees, on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.secure_channel(address, credentials, options) as channel:
        stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
        answer = await stub.ListModels(model_service_pb2.ListModelsRequest(), timeout=30)
        return len(answer.models)


def trusting(authority: Authority) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority.ca_file.read_bytes())


async def is_refused(address: str, credentials: grpc.ChannelCredentials) -> bool:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(address, credentials)
    return caught.value.code() is grpc.StatusCode.UNAVAILABLE


def shown_certificate(address: str) -> int:
    """The serial number of the certificate that the server shows."""
    host, _, port = address.rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)), timeout=30)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


async def test_only_who_trusts_the_authority_gets_an_answer(
    new_authority: Authorities, server_with: ServerFactory
) -> None:
    ours, theirs = new_authority("ours"), new_authority("theirs")
    async with server_with(settings_of(ours)) as server:
        assert await listed(server.address, trusting(ours)) == 2
        assert await is_refused(server.address, trusting(theirs))
        with pytest.raises(grpc.aio.AioRpcError) as caught:  # in plaintext
            await server.models.ListModels(model_service_pb2.ListModelsRequest(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_with_client_authorities_a_client_shows_a_certificate_of_one_of_them(
    new_authority: Authorities, server_with: ServerFactory
) -> None:
    ours, clients, others = map(new_authority, ("ours", "clients", "others"))

    def showing(authority: Authority) -> grpc.ChannelCredentials:
        certificate, key = authority.issue("client")
        return grpc.ssl_channel_credentials(
            ours.ca_file.read_bytes(), key.read_bytes(), certificate.read_bytes()
        )

    async with server_with(settings_of(ours, client_ca=clients.ca_file)) as server:
        assert await listed(server.address, showing(clients)) == 2
        assert await is_refused(server.address, showing(others))
        assert await is_refused(server.address, trusting(ours))  # which shows none
        # Authorities are renewed like certificates.
        shutil.copyfile(others.ca_file, clients.ca_file)
        assert await listed(server.address, showing(others)) == 2


async def test_a_renewed_certificate_is_shown_to_the_next_client_and_no_call_fails(
    new_authority: Authorities, server_with: ServerFactory
) -> None:
    ours = new_authority("ours")
    async with (
        server_with(settings_of(ours)) as server,
        grpc.aio.secure_channel(server.address, trusting(ours)) as old_channel,
    ):
        old: Any = model_service_pb2_grpc.ModelServiceStub(old_channel)
        request = model_service_pb2.ListModelsRequest()
        await old.ListModels(request, timeout=30)
        seen = set()
        for _ in range(3):
            certificate, _ = ours.issue("server")
            renewed = x509.load_pem_x509_certificate(certificate.read_bytes())
            assert shown_certificate(server.address) == renewed.serial_number
            seen.add(renewed.serial_number)
            assert await listed(server.address, trusting(ours)) == 2
            await old.ListModels(request, timeout=30)  # a connection of before goes on
        assert len(seen) == 3


@pytest.mark.parametrize("damage", ["another key", "no key", "cut short", "not PEM"])
async def test_the_old_certificate_serves_on_where_the_new_one_is_broken(
    new_authority: Authorities,
    server_with: ServerFactory,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = new_authority("ours")
    async with server_with(settings_of(ours)) as server:
        before = shown_certificate(server.address)
        certificate, key = ours.folder / "server.pem", ours.folder / "server.key"
        sound = certificate.read_bytes(), key.read_bytes()
        if damage == "another key":
            shutil.copyfile(ours.issue("other")[1], key)
        elif damage == "no key":
            key.unlink()
        elif damage == "cut short":
            certificate.write_bytes(sound[0][:200])
        else:
            certificate.write_bytes(b"\xff\xfe nothing")
        assert shown_certificate(server.address) == before
        assert await listed(server.address, trusting(ours)) == 2
        assert [one.message for one in caplog.records if "serves on" in one.message]
        # What is mended is taken.
        ours.issue("server")
        assert shown_certificate(server.address) != before


async def test_old_versions_of_tls_are_refused(
    new_authority: Authorities, server_with: ServerFactory
) -> None:
    ours = new_authority("ours")
    async with server_with(settings_of(ours)) as server:
        host, _, port = server.address.rpartition(":")
        context = ssl.create_default_context(cafile=str(ours.ca_file))
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            assert encrypted.version() == "TLSv1.3"
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(plain, server_hostname=host)


def test_files_that_cannot_serve_are_refused_at_the_start(
    new_authority: Authorities, tmp_path: Path
) -> None:
    ours = new_authority("ours")
    certificate, key = ours.issue("server")
    _, other_key = ours.issue("other")
    for files, message in (
        ({"key": other_key}, "no certificate chain and its unencrypted key"),
        ({"key": tmp_path / "none"}, "cannot be read: No such file"),
        ({"certificate": key}, "no certificate chain"),
        ({"client_ca": key}, "client_ca: .* holds no certificates"),
        ({"client_ca": tmp_path / "none"}, "client_ca: .* cannot be read"),
    ):
        with pytest.raises(ConfigError, match=message):
            ServerCertificates(**{"certificate": certificate, "key": key, **files})


def test_half_of_the_settings_is_refused() -> None:
    for half in ({"certificate": "a.pem"}, {"key": "a.key"}, {"client_ca": "ca.pem"}):
        with pytest.raises(ConfigError, match=r"^tls: "):
            load_settings(tls=half)


def test_files_in_the_settings_are_relative_to_them(tmp_path: Path) -> None:
    path = tmp_path / "dragoman.toml"
    path.write_text(
        'accepted_tokens = "tokens.json"\n[tls]\ncertificate = "a.pem"\nkey = "/b.key"\n'
    )
    settings = load_settings(path)
    assert settings.tls.certificate == tmp_path / "a.pem"
    assert settings.tls.key == Path("/b.key")
    assert settings.accepted_tokens == tmp_path / "tokens.json"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_plaintext_is_served_to_this_machine(host: str) -> None:
    assert server_credentials(ServerSettings(address=f"{host}:1")) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]"])  # noqa: S104
def test_plaintext_on_the_network_needs_the_flag(
    host: str, new_authority: Authorities, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"{host}:1"
    with pytest.raises(ConfigError, match="--allow-plaintext-on-network"):
        server_credentials(ServerSettings(address=address))
    allowed = ServerSettings(address=address, allow_plaintext_on_network=True)
    assert server_credentials(allowed) is None
    assert f"everybody who reaches {address} may use this server" in caplog.text
    encrypted = ServerSettings(address=address, **settings_of(new_authority("ours")))
    assert server_credentials(encrypted) is not None
