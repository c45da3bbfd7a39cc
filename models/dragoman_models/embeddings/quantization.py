"""Vectors in 8 or 16 bits: whole numbers with one float32 scale for each row.

Row r of the matrix becomes codes q = round(r / s) with s = max|r| / L, where L is 127 or 32,767;
s q is then within s / 2 of r in each component (up to float32 rounding).
"""

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.cosine_index import Float32Matrix


class VectorEncoding(enum.Enum):
    """How a matrix of vectors is stored; the value stands in config.json."""

    FLOAT32 = "float32"
    INT16_ROWS = "int16-rows"
    INT8_ROWS = "int8-rows"


_CODE_TYPES: dict[VectorEncoding, type[np.signedinteger[Any]]] = {
    VectorEncoding.INT16_ROWS: np.int16,
    VectorEncoding.INT8_ROWS: np.int8,
}


@dataclass(frozen=True, kw_only=True)
class EncodedVectors:
    """A matrix as it is stored: `codes` (V, D), and `scales` (V,) unless they are float32."""

    codes: NDArray[Any]
    scales: NDArray[np.float32] | None

    def tensors(self) -> dict[str, NDArray[Any]]:
        """By their names in weights.safetensors."""
        if self.scales is None:
            return {"vectors": self.codes}
        return {"vectors": self.codes, "scales": self.scales}


def encode(matrix: Float32Matrix, encoding: VectorEncoding) -> EncodedVectors:
    """`matrix` (V, D) of finite numbers in `encoding`."""
    if encoding is VectorEncoding.FLOAT32:
        return EncodedVectors(codes=matrix, scales=None)
    code_type = _CODE_TYPES[encoding]
    largest_code = np.iinfo(code_type).max
    scales = (np.abs(matrix).max(axis=1) / np.float32(largest_code)).astype(np.float32)  # (V,)
    # A row of zeros (or of numbers too small for a scale) has scale 0 and codes 0.
    divisors = np.where(scales == 0, np.float32(np.inf), scales)
    codes = np.rint(matrix / divisors[:, None]).clip(-largest_code, largest_code)
    return EncodedVectors(codes=codes.astype(code_type), scales=scales)


def decode(encoded: EncodedVectors) -> Float32Matrix:
    """The matrix (V, D) that `encoded` stands for, in float32; not a copy where it is float32."""
    matrix = encoded.codes.astype(np.float32, copy=False)
    if encoded.scales is not None:
        matrix *= encoded.scales[:, None]
    return matrix


def encoded_vectors(tensors: dict[str, NDArray[Any]], encoding: VectorEncoding) -> EncodedVectors:
    """What `EncodedVectors.tensors` gave; raises ValueError where types or shapes do not fit."""
    expected = {"vectors"} if encoding is VectorEncoding.FLOAT32 else {"vectors", "scales"}
    if set(tensors) != expected:
        raise ValueError(f"the tensors must be {sorted(expected)}, not {sorted(tensors)}")
    codes = tensors["vectors"]
    code_type = _CODE_TYPES.get(encoding, np.float32)
    if codes.ndim != 2 or codes.dtype != code_type:
        raise ValueError(
            f"vectors must be {np.dtype(code_type)} (V, D), not {codes.dtype} {codes.shape}"
        )
    if encoding is VectorEncoding.FLOAT32:
        return EncodedVectors(codes=codes, scales=None)
    scales = tensors["scales"]
    if scales.dtype != np.float32 or scales.shape != codes.shape[:1]:
        raise ValueError(
            f"scales must be float32 ({len(codes)},), not {scales.dtype} {scales.shape}"
        )
    return EncodedVectors(codes=codes, scales=scales)
