"""A bundle as it lies in Ray's object store: its files as bytes, its weights as arrays.

Ray maps an object into each process of a node that asks for it, and copies it once to each other
node. So replicas share the weights of a machine, and one that starts later needs no disk.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError, quoted
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

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """The weights in float32, where they lie."""
        import torch

        with warnings.catch_warnings():  # that the arrays cannot be written to
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            return {name: torch.from_numpy(array) for name, array in self.arrays.items()}


def stored(bundle: SharedBundle) -> StoredBundle:
    """`bundle` without its descriptor."""
    return StoredBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files=dict(bundle.files),
        arrays={name: tensor.numpy() for name, tensor in bundle.torch_tensors().items()},
    )
