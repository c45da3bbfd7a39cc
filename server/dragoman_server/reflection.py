"""Server reflection that also finds calls by name.

`grpcurl describe dragoman.v1.TranslationService.Translate` asks for the file of a call, which the
descriptor pool of protobuf's Python package does not look for.
"""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection

# Imported so that reflection can describe the details of a status.
from google.rpc import error_details_pb2 as _error_details  # noqa: F401  # isort: skip


class _PoolWithCalls:
    """The default pool; calls are among its symbols."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802
        try:
            file: FileDescriptor = self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, call = symbol.rpartition(".")
            found = self._pool.FindServiceByName(service)  # KeyError: there is no such symbol
            if call not in found.methods_by_name:
                raise
            return found.file  # type: ignore[no-any-return]
        return file


def add_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Let clients ask `server` for the descriptors of `services` and of reflection itself."""
    pool: Any = _PoolWithCalls()
    reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), server, pool)
