"""PNG files written by the letter of their specification, to have something to decode by."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # the colour types


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, *, depth: int = 8, colour: int = RGB) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png_file(samples: NDArray[Any], *, colour: int = RGB, before: Sequence[bytes] = ()) -> bytes:
    """A file of samples (H, W) or (H, W, channels) of 8 or 16 bits; `before` stands before them."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1).astype(samples.dtype.newbyteorder(">"))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))  # filter 0: none
    parts = (
        header(width, height, depth=8 * samples.dtype.itemsize, colour=colour),
        *before, chunk(b"IDAT", data), chunk(b"IEND"),
    )  # fmt: skip
    return SIGNATURE + b"".join(parts)


def bit_png_file(bits: NDArray[np.bool_]) -> bytes:
    """A file of one bit a pixel (H, W)."""
    height, width = bits.shape
    rows = np.packbits(bits, axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = (header(width, height, depth=1, colour=GREY), chunk(b"IDAT", data), chunk(b"IEND"))
    return SIGNATURE + b"".join(parts)
