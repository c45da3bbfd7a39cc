"""Which addresses only this machine reaches, and that no other one is served in plaintext."""

import ipaddress
import socket

from dragoman_server.errors import ConfigError


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT is reached from this machine alone; False where the host is unknown."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    return all(ipaddress.ip_address(one).is_loopback for one in addresses)


def check_plaintext(address: str, *, encrypted: bool, allowed: bool) -> None:
    """Raise `ConfigError` where the network would read what is said at `address`."""
    if encrypted or allowed or is_loopback(address):
        return
    raise ConfigError(
        f"address: {address} is reached over the network, and without TLS everybody on the way "
        "reads and changes what is sent; give --tls-certificate and --tls-key, or an address of "
        "this machine such as 127.0.0.1:50051. Where something else encrypts (a mesh, a tunnel), "
        "--allow-plaintext-on-network serves it as it is"
    )


def check_metrics_address(address: str, *, allowed: bool) -> None:
    """Raise `ConfigError` where everybody on the network would read the metrics unasked."""
    if allowed or is_loopback(address):
        return
    raise ConfigError(
        f"metrics_address: {address} is reached over the network, and metrics are readable by "
        "everybody who reaches them; give an address of this machine such as 127.0.0.1:9464, or "
        "--allow-metrics-on-network"
    )
