"""A bundle as it lies in Ray's object store: its files as bytes, its weights as arrays.

Ray maps an object into each process of a node that asks for it, and copies it once to each other
node. So replicas share the weights of a machine, and one that starts later needs no disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from dragoman_models.arrays import Array
from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError, quoted
from dragoman_models.weight_encoding import as_torch
from dragoman_server.workers.shared_bundle import SharedBundle

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class StoredBundle(Bundle):
    """Weights are float32, and nobody may write to them."""

    files: Mapping[str, bytes]
    arrays: Mapping[str, Any]  # float32 arrays of numpy, which Ray keeps outside of the pickle

    def file(self, name: str) -> bytes:
        if name not in self.files:
            raise BundleError(self.path, f"the bundle has no file {quoted(name)}")
        return self.files[name]

    def numpy_tensors(self) -> dict[str, Array]:
        """The weights in float32, where they lie."""
        return dict(self.arrays)

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """As ``numpy_tensors``, in torch."""
        return as_torch(self.arrays)


def stored(bundle: SharedBundle) -> StoredBundle:
    """`bundle` without its descriptor."""
    return StoredBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files=dict(bundle.files),
        arrays=bundle.numpy_tensors(),
    )
