"""Opens the server's port, or says why it cannot be opened."""

import errno
import socket

import grpc

from dragoman_server.errors import StartupError

_REFUSALS = (errno.EADDRINUSE, errno.EACCES)


def listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Open the port, with TLS where there are credentials; the address with the actual port.

    Raises `StartupError` if it cannot be opened.
    """
    _check_free(address)
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _refused(address, str(error)) from error
    return f"{address.rpartition(':')[0]}:{port}"


def _check_free(address: str) -> None:
    """Raise `StartupError` unless every address of the host can be bound.

    gRPC does not say why it could not bind, and is content with one of several: a server on
    "localhost" would come up on ::1 alone beside another on 127.0.0.1, and share its calls.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise _refused(address, f"there is no host {host!r} ({error})") from error
    for family, kind, protocol, _, socket_address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As gRPC binds: connections that have just ended do not hold the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(socket_address)
                probe.listen(1)
        except OSError as error:
            if error.errno in _REFUSALS:
                raise _refused(address, (error.strerror or str(error)).lower()) from error


def _refused(address: str, reason: str) -> StartupError:
    return StartupError(
        f"cannot listen on {address}: {reason}; stop the server that is there, or give another "
        "address (port 0 takes a free one)"
    )
