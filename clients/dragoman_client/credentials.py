"""How a client proves who it is, and knows the server: TLS and tokens."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from dragoman_client.channel import is_on_this_machine

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750, section 2.1


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Encrypts the connection, and checks the server's certificate. All files are PEM.

    Attributes:
        ca_file: authorities that the server's certificate may be of. Default: gRPC's own list of
            public ones.
        certificate_file, key_file: the client's own certificate with its chain, and its key, for a
            server that asks for one.
        server_name: the name in the server's certificate, where it is reached by another.
    """

    ca_file: Path | str | None = None
    certificate_file: Path | str | None = None
    key_file: Path | str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("the client's certificate and its key belong together; give both")

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files. Raises ValueError where one is missing or not what it should be."""
        authorities = None if self.ca_file is None else _authorities(Path(self.ca_file))
        if self.certificate_file is None or self.key_file is None:
            return grpc.ssl_channel_credentials(authorities)
        certificate, key = Path(self.certificate_file), Path(self.key_file)
        _check_pair(certificate, key)
        return grpc.ssl_channel_credentials(authorities, key.read_bytes(), certificate.read_bytes())

    def options(self) -> list[tuple[str, str | int]]:
        """Options of a channel that go with the credentials."""
        if self.server_name is None:
            return []
        return [
            ("grpc.ssl_target_name_override", self.server_name),
            ("grpc.default_authority", self.server_name),
        ]


def checked_token(token: str, address: str, *, encrypted: bool) -> str:
    """``token`` if it may be sent to ``address``; ValueError with the fix otherwise.

    The error does not hold the token.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token is empty or has characters that no token has; give it as made")
    if not encrypted and not is_on_this_machine(address):
        raise ValueError(
            f"the token is not sent to {address} in plaintext, where everybody on the way could "
            "read it; use TLS (Tls(...), or --tls or --tls-ca)"
        )
    return token


def read_token(path: Path) -> str:
    """The token in a file, without the blanks around it.

    Raises:
        ValueError: the file cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} holds no token; give the file that holds one") from error


def _authorities(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} holds no certificates as PEM") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    return data


def _check_pair(certificate: Path, key: Path) -> None:
    try:
        # An encrypted key would have OpenSSL ask at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, lambda: "")
    except ssl.SSLError as error:
        raise ValueError(
            f"{certificate} and {key} are no certificate chain and its unencrypted key, both PEM"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{certificate} or {key} cannot be read: {reason}") from error
