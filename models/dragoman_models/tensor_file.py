"""Named tensors as the bytes of a safetensors file, and back, for numpy and for torch.

Word vectors must load without torch, so torch is imported only where a torch tensor is given or
asked for.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize, safe_open

if TYPE_CHECKING:
    import torch

Array: TypeAlias = NDArray[Any]

_NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip
_HEADER_LENGTH_BYTES = 8


class TensorFileError(ValueError):
    """The bytes are not a safetensors file, or hold a type that numpy cannot take."""


def encode_tensors(tensors: "Mapping[str, torch.Tensor | Array]") -> bytes:
    """The safetensors file of `tensors`; the same tensors always give the same bytes."""
    ordered = {name: tensors[name] for name in sorted(tensors)}
    if all(isinstance(tensor, np.ndarray) for tensor in ordered.values()):
        from safetensors.numpy import save as save_numpy

        return save_numpy({name: np.asarray(t, order="C") for name, t in ordered.items()})
    import torch
    from safetensors.torch import save as save_torch

    as_torch = {}
    for name, tensor in ordered.items():
        if isinstance(tensor, np.ndarray):
            tensor = torch.from_numpy(np.asarray(tensor, order="C"))
        # A clone, because safetensors refuses tensors that share storage (tied weights).
        as_torch[name] = tensor.detach().cpu().contiguous().clone()
    return save_torch(as_torch)


def decode_numpy(data: bytes) -> dict[str, Array]:
    """The tensors of a safetensors file as numpy arrays; bfloat16, which numpy lacks, becomes
    float32 without loss. Raises `TensorFileError`."""
    arrays: dict[str, Array] = {}
    for name, entry in _deserialize(data):
        kind, shape = entry["dtype"], entry["shape"]
        if kind == "BF16":
            # A bfloat16 is the upper half of the float32 of the same value.
            halves = np.frombuffer(entry["data"], dtype="<u2").astype(np.uint32)
            arrays[name] = (halves << np.uint32(16)).view(np.float32).reshape(shape)
        elif kind in _NUMPY_TYPES:
            arrays[name] = np.frombuffer(entry["data"], dtype=_NUMPY_TYPES[kind]).reshape(shape)
        else:
            raise TensorFileError(f"tensor {name!r} has type {kind}, which numpy cannot hold")
    return arrays


def map_numpy(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file as read-only numpy arrays that the system reads from the
    disk when they are used; bfloat16 is refused. Raises `TensorFileError` and OSError."""
    try:
        with safe_open(path, framework="numpy"):
            pass  # Checks the whole header, so that what follows may rely on it.
    except SafetensorError as error:
        raise TensorFileError(f"not a readable safetensors file ({error})") from error
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
    mapped: Array = np.memmap(path, np.uint8, mode="r", offset=_HEADER_LENGTH_BYTES + length)
    arrays: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _NUMPY_TYPES:
            raise TensorFileError(f"tensor {name!r} has type {entry['dtype']}: it cannot be mapped")
        start, stop = entry["data_offsets"]
        values = mapped[start:stop].view(np.ndarray).view(_NUMPY_TYPES[entry["dtype"]])
        # Files of other writers may start their numbers anywhere; those are copied.
        arrays[name] = np.require(values, requirements="A").reshape(entry["shape"])
    return arrays


def decode_torch(data: bytes) -> "dict[str, torch.Tensor]":
    """The tensors of a safetensors file as torch tensors, types kept. Raises `TensorFileError`."""
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        raise TensorFileError(f"not a readable safetensors file ({error})") from error


def stated_length(start: bytes) -> int | None:
    """The length in bytes that a safetensors file's header promises; None where `start`, the
    file's beginning, has no whole, readable header."""
    body = _HEADER_LENGTH_BYTES + int.from_bytes(start[:_HEADER_LENGTH_BYTES], "little")
    if len(start) < body or body <= _HEADER_LENGTH_BYTES:
        return None
    try:
        header = json.loads(start[_HEADER_LENGTH_BYTES:body])
        ends = [int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return body + max(ends, default=0)


def _deserialize(data: bytes) -> "list[tuple[str, dict[str, Any]]]":
    try:
        return list(deserialize(data))  # type: ignore[no-untyped-call]
    except (SafetensorError, ValueError) as error:
        raise TensorFileError(f"not a readable safetensors file ({error})") from error
