"""A bundle as it lies in Ray's object store: its files as bytes, float32 weights as arrays.

Ray maps an object into each process of a node that asks for it, and copies it once to each other
node. So replicas share the weights of a machine, and one that starts later needs no disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from dragoman_models.arrays import Array
from dragoman_models.bundle import Bundle
from dragoman_models.weight_encoding import as_torch
from dragoman_server.workers.carried_bundle import CarriedBundle
from dragoman_server.workers.shared_bundle import SharedBundle

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class StoredBundle(CarriedBundle):
    """Weights that are not among its files are float32, and nobody may write to them."""

    arrays: Mapping[str, Any]  # float32 arrays of numpy, which Ray keeps outside of the pickle

    def numpy_tensors(self) -> dict[str, Array]:
        """The weights in float32, where they lie. Those of a bundle that came whole are in the
        types they were written in."""
        return super().numpy_tensors() if self.is_whole else dict(self.arrays)

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """As ``numpy_tensors``, in torch."""
        return super().torch_tensors() if self.is_whole else as_torch(self.arrays)


def stored(bundle: SharedBundle) -> StoredBundle:
    """`bundle` without its descriptor."""
    return StoredBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files=dict(bundle.files),
        arrays={} if bundle.is_whole else bundle.numpy_tensors(),
    )
