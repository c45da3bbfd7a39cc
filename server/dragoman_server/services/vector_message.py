"""A vector as a message, without a Python number for each component.

`repeated float values = 1` is packed on the wire: its tag, the length in bytes as a varint, and
the little-endian float32 numbers (protobuf's encoding guide). That is what numpy holds already, so
the message is read from bytes, some ten times as fast as filling it number by number.
"""

import numpy as np
from numpy.typing import NDArray

from dragoman.v1 import vector_pb2

_FIELD_1_PACKED = b"\x0a"


def vector_message(vector: NDArray[np.float32]) -> vector_pb2.Vector:
    """The message that holds `vector` (D,)."""
    data = vector.astype("<f4", copy=False).tobytes()
    return vector_pb2.Vector.FromString(_FIELD_1_PACKED + _varint(len(data)) + data)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
