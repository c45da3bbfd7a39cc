"""What the port is opened with, as the settings say."""

import logging

import grpc

from dragoman_server.config import ServerSettings
from dragoman_server.security.network import check_plaintext, is_loopback
from dragoman_server.security.tls import ServerCertificates

_log = logging.getLogger(__name__)


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """The credentials for TLS; None for plaintext.

    Raises `ConfigError` where the files are not sound, or plaintext would be read on the network.
    """
    files = settings.tls
    encrypted = files.certificate is not None
    check_plaintext(
        settings.address, encrypted=encrypted, allowed=settings.allow_plaintext_on_network
    )
    anybody = settings.accepted_tokens is None and files.client_ca is None
    if anybody and not is_loopback(settings.address):
        _log.warning(
            "everybody who reaches %s may use this server; give accepted_tokens or tls.client_ca",
            settings.address,
        )
    if files.certificate is None or files.key is None:
        return None
    certificates = ServerCertificates(
        certificate=files.certificate, key=files.key, client_ca=files.client_ca
    )
    return certificates.credentials()
