"""A bundle that travels to worker processes: its files as bytes, its weights in memory they share.

The weights are expanded to float32 once, into a file that has no name. Each process maps it
privately: what nobody writes to is in memory once, however many processes there are, and the
system may drop it and read it again. The file is gone with the last process that has it open.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import IO, TYPE_CHECKING

import numpy as np

from dragoman_models.arrays import Array, Floats
from dragoman_models.bundle import WEIGHTS, Bundle
from dragoman_models.errors import BundleError
from dragoman_models.weight_encoding import DecodedWeights, as_torch
from dragoman_server.workers.carried_bundle import CarriedBundle

if TYPE_CHECKING:
    import torch

_ALIGNMENT = 64  # bytes; what the widest vector registers like


@dataclass(frozen=True, kw_only=True)
class TensorPlace:
    """Where a float32 tensor lies in the file."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SharedBundle(CarriedBundle):
    """Weights that are not among its files lie in one that has no name."""

    places: Mapping[str, TensorPlace]
    descriptor: int = -1  # of the file of weights; each process has its own number for it

    def numpy_tensors(self) -> dict[str, Array]:
        """The weights in float32, over the file; to write to one makes a copy of its pages. Those
        of a bundle that came `whole` are in the types they were written in."""
        if self.is_whole:
            return super().numpy_tensors()
        if not self.places:
            return {}
        with os.fdopen(os.dup(self.descriptor), "rb") as file:
            mapped = np.memmap(file, np.uint8, mode="c")
        arrays: dict[str, Array] = {}
        for name, place in self.places.items():
            count = int(np.prod(place.shape, dtype=np.int64))
            values = mapped[place.offset : place.offset + 4 * count].view(np.ndarray)
            arrays[name] = values.view(np.float32).reshape(place.shape)
        return arrays

    def torch_tensors(self) -> "dict[str, torch.Tensor]":
        """As ``numpy_tensors``, in torch."""
        if self.is_whole:
            return super().torch_tensors()
        return as_torch(self.numpy_tensors())


def shared(bundle: Bundle) -> SharedBundle:
    """`bundle` with its weights expanded; whoever has it closes its descriptor.

    Raises `BundleError` where the weights cannot be decoded, or there is no room for them in the
    folder for temporary files (TMPDIR).
    """
    try:
        weights = DecodedWeights(bundle.numpy_tensors())
    except ValueError as error:
        raise BundleError(bundle.path, f"{WEIGHTS}: {error}") from error
    try:
        with tempfile.TemporaryFile(prefix="dragoman-") as file:
            places = {name: _write(file, array) for name, array in weights.items()}
            file.flush()
            descriptor = os.dup(file.fileno())
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(
            bundle.path,
            f"{WEIGHTS} cannot be expanded in {tempfile.gettempdir()}, from where processes share "
            f"them: {reason}",
        ) from error
    return SharedBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files={name: bundle.file(name) for name in bundle.checksums if name != WEIGHTS},
        places=places,
        descriptor=descriptor,
    )


def whole(bundle: Bundle) -> SharedBundle:
    """`bundle` with its weights as they were written: for models that few processes have, or whose
    weights are read by another library than torch. Whoever has it closes its descriptor."""
    return SharedBundle(
        **{field.name: getattr(bundle, field.name) for field in fields(Bundle)},
        files={name: bundle.file(name) for name in bundle.checksums},
        places={},
        descriptor=os.open(os.devnull, os.O_RDONLY),
    )


def _write(file: IO[bytes], array: Floats) -> TensorPlace:
    offset = file.seek(-(-file.tell() // _ALIGNMENT) * _ALIGNMENT)
    file.write(np.ascontiguousarray(array).data)
    return TensorPlace(offset=offset, shape=array.shape)
