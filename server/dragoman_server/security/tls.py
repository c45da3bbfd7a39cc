"""TLS whose certificates may be renewed while the server runs.

gRPC asks for the certificates at the start of every handshake (`dynamic_ssl_server_credentials`).
They are read again when one of the files has changed; a pair that does not fit together, as in the
middle of a renewal, is not taken, and the old one serves on.
"""

import logging
import ssl
import threading
from pathlib import Path

import grpc

from dragoman_server.errors import ConfigError
from dragoman_server.security.file_signature import Signature, signature_of

_log = logging.getLogger(__name__)


class ServerCertificates:
    """The server's certificate and key, and the authorities of clients' certificates.

    With `client_ca`, a client must show a certificate that one of its authorities signed.
    """

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Raises `ConfigError` where a file cannot be read or the pair does not fit."""
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._lock = threading.Lock()  # gRPC's own threads ask
        self._signature = self._signatures()
        self._current = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """What `add_secure_port` takes."""
        return grpc.dynamic_ssl_server_credentials(
            self._current,
            self.renewed,  # type: ignore[arg-type]  # None is documented, and means: unchanged
            require_client_authentication=self._client_ca is not None,
        )

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificates, where they have changed since they were last asked for."""
        with self._lock:
            signature = self._signatures()
            if signature == self._signature:
                return None
            try:
                found = self._read()
            except ConfigError as error:
                _log.error("%s; the certificate before it serves on", error)
                self._signature = signature
                return None
            if self._signatures() != signature:
                return None  # written to just now: the next handshake looks again
            self._signature, self._current = signature, found
            _log.info("the certificate %s was renewed", self._certificate)
            return found

    def _read(self) -> grpc.ServerCertificateConfiguration:
        _check_pair(self._certificate, self._key)
        pair = (_bytes_of(self._key, "tls.key"), _bytes_of(self._certificate, "tls.certificate"))
        if self._client_ca is None:
            return grpc.ssl_server_certificate_configuration([pair])
        authorities = _bytes_of(self._client_ca, "tls.client_ca")
        _check_authorities(self._client_ca, authorities)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)

    def _signatures(self) -> tuple[Signature | None, ...]:
        files = (self._certificate, self._key, self._client_ca)
        return tuple(signature_of(path) for path in files if path is not None)


def _check_pair(certificate: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would have OpenSSL ask at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls: {certificate} and {key} are no certificate chain and its unencrypted key, both "
            f"PEM ({error.reason or error})"
        ) from error
    except OSError as error:
        text = f"{certificate} or {key} cannot be read: {error.strerror or error}"
        raise ConfigError(f"tls: {text}") from error


def _check_authorities(path: Path, data: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigError(f"tls.client_ca: {path} holds no certificates as PEM") from error


def _bytes_of(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror or error}"
        raise ConfigError(f"{setting}: {text}") from error
