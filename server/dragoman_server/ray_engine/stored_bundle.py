"""A bundle as it lies in Ray's object store: its files as bytes, float32 weights as arrays.

Ray maps an object into each process of a node that asks for it, and copies it once to each other
node. So replicas share the weights of a machine, and one that starts later needs no disk.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from dragoman_models.bundle import Bundle
from dragoman_server.workers.carried_bundle import CarriedBundle
from dragoman_server.workers.shared_bundle import SharedBundle

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class StoredBundle(CarriedBundle):
    """Weights that are not among its files are float32, and nobody may write to them."""

    arrays: Mapping[str, Any]  # float32 arrays of numpy, which Ray keeps outside of the pickle

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """The weights in float32, where they lie. Those of a bundle that came whole are in the
        types they were written in."""
        import torch

        if self.is_whole:
            return super().torch_tensors()

        with warnings.catch_warnings():  # that the arrays cannot be written to
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            return {name: torch.from_numpy(array) for name, array in self.arrays.items()}


def stored(bundle: SharedBundle) -> StoredBundle:
    """`bundle` without its descriptor."""
    weights = {} if bundle.is_whole else bundle.torch_tensors()
    return StoredBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files=dict(bundle.files),
        arrays={name: tensor.numpy() for name, tensor in weights.items()},
    )
