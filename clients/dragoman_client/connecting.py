"""Opens the channel to a server, in plaintext or with TLS, for both clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import grpc

from dragoman_client.call_metadata import ChannelWithMetadata, Metadata
from dragoman_client.channel import Retries, channel_options, checked_address
from dragoman_client.credentials import Tls, checked_token


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a server is, and how it is called; nothing is opened yet."""

    address: str
    options: list[tuple[str, str | int]]
    credentials: grpc.ChannelCredentials | None
    metadata: Metadata = field(repr=False)  # it may hold a token

    def channel(self) -> grpc.Channel:
        """A channel for threads."""
        if self.credentials is None:
            opened = grpc.insecure_channel(self.address, self.options)
        else:
            opened = grpc.secure_channel(self.address, self.credentials, self.options)
        return cast(grpc.Channel, self._with_metadata(opened))

    def aio_channel(self) -> grpc.aio.Channel:
        """A channel for the event loop that runs now."""
        if self.credentials is None:
            opened = grpc.aio.insecure_channel(self.address, self.options)
        else:
            opened = grpc.aio.secure_channel(self.address, self.credentials, self.options)
        return cast(grpc.aio.Channel, self._with_metadata(opened))

    def _with_metadata(self, channel: object) -> object:
        return ChannelWithMetadata(channel, self.metadata) if self.metadata else channel


def connection_to(
    address: str, *, retries: Retries, max_answer_bytes: int, tls: Tls | None, token: str | None
) -> Connection:
    """The connection that a client's arguments describe. Raises ValueError for wrong ones."""
    address = checked_address(address)
    options = channel_options(address, retries=retries, max_answer_bytes=max_answer_bytes)
    metadata: Metadata = ()
    if token is not None:
        sound = checked_token(token, address, encrypted=tls is not None)
        metadata = (("authorization", f"Bearer {sound}"),)
    return Connection(
        address=address,
        options=options if tls is None else [*options, *tls.options()],
        credentials=None if tls is None else tls.credentials(),
        metadata=metadata,
    )
