"""What kind of image a file is, by its first bytes, and what a WebP's header says of its size."""

import enum

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_RIFF, _WEBP = b"RIFF", b"WEBP"

# Formats that people have, and that are refused by name: where the bytes stand, and what they are.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"II*\x00", "a TIFF"),
    (0, b"MM\x00*", "a TIFF"),
    (4, b"ftypavif", "an AVIF"),
    (4, b"ftypheic", "a HEIC"),
    (4, b"ftypheix", "a HEIC"),
    (4, b"ftypmif1", "a HEIF"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "an SVG"),
    (0, b"<?xml", "an XML file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)


class ImageFormat(enum.Enum):
    """The formats that are decoded."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"


def format_of(content: bytes) -> ImageFormat | None:
    """The format of a file that is decoded; None for all others."""
    if content.startswith(_JPEG):
        return ImageFormat.JPEG
    if content.startswith(_PNG):
        return ImageFormat.PNG
    if content.startswith(_RIFF) and content[8:12] == _WEBP:
        return ImageFormat.WEBP
    return None


def other_format(content: bytes) -> str:
    """What a file is that is not decoded, with its article."""
    for start, signature, name in _OTHERS:
        if content.startswith(signature, start):
            return name
    return "no image that can be read"


def webp_size(content: bytes) -> tuple[int, int]:
    """Width and height that the header of a WebP states (RFC 9649, 2.5 to 2.7).

    Raises `ValueError` for a header that is none.
    """
    chunk, data = content[12:16], content[20:30]
    if chunk == b"VP8X" and len(data) == 10:
        return _number(data[4:7]) + 1, _number(data[7:10]) + 1
    if chunk == b"VP8L" and data[:1] == b"\x2f" and len(data) >= 5:
        bits = _number(data[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and data[3:6] == b"\x9d\x01\x2a" and len(data) == 10:
        return _number(data[6:8]) & 0x3FFF, _number(data[8:10]) & 0x3FFF
    raise ValueError("its header is none of a WebP, or truncated")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
