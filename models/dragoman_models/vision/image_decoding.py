"""The only way from bytes to pixels, for serving and for training alike.

An image may come from anybody, so what it would cost is known before a decoder sees it: its bytes,
its pixels, the scans of a progressive JPEG. Pillow decodes what is within the limits.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.image_signature import ImageFormat, format_of, other_format, webp_size
from dragoman_models.vision.results import RgbImage

_CONTENT = "content"
_FORMATS = "a JPEG, PNG or WebP file"

# The format is told from the content, and its plugin called by name: `Image.open` would try others,
# and measure an image by a limit that all of the process shares.
_PLUGINS: dict[ImageFormat, type[ImageFile.ImageFile]] = {
    ImageFormat.JPEG: JpegImagePlugin.JpegImageFile,
    ImageFormat.PNG: PngImagePlugin.PngImageFile,
    ImageFormat.WEBP: WebPImagePlugin.WebPImageFile,
}

# Each scan of a progressive JPEG is a pass over all its pixels, and takes some 10 bytes of the
# file: without a bound, a small file keeps a decoder busy for minutes. Encoders write about 10.
_START_OF_SCAN = b"\xff\xda"
_MOST_SCANS = 100

_ORIENTATION_TAG = 0x0112
# What makes an image upright, by its orientation (Exif 2.32, tag 274): 1, or nothing, is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """The most that one image may hold: bytes of its file, and pixels, width times height."""

    most_bytes: int = 16 * 1024 * 1024
    most_pixels: int = 50_000_000


def decode_image(content: bytes, *, limits: ImageLimits) -> RgbImage:
    """The pixels of a JPEG, PNG or WebP file, upright: its EXIF orientation is applied.

    Grey, palettes, CMYK and 16 bits become 8-bit RGB; what is transparent is laid over white.

    Returns: (height, width, 3), unsigned 8-bit.
    Raises:
        InvalidInputError: of the field "content": over a limit, another format, animated, cut
            short or damaged.
    """
    try:
        image = _opened(content, limits)
        _check_still(image)
        image.load()
        return _rgb(_upright(image))
    except (InvalidInputError, MemoryError):
        raise
    except Exception as error:  # decoders of hostile files raise whatever they stumble over
        raise _refused(_damage(content, error)) from error


def read_image(path: Path, *, limits: ImageLimits | None = None) -> RgbImage:
    """The pixels of an image file, as `decode_image` gives them.

    Raises:
        InvalidInputError: the field is the path; also for a file that cannot be read.
    """
    limits = limits or ImageLimits()
    try:
        with path.open("rb") as file:
            content = file.read(limits.most_bytes + 1)
        return decode_image(content, limits=limits)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise InvalidInputError.single(str(path), reason) from error
    except InvalidInputError as error:
        reason = "; ".join(violation.description for violation in error.violations)
        raise InvalidInputError.single(str(path), reason) from error


def _opened(content: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    """The image, of which only the header has been read."""
    if not content:
        raise _refused(f"is empty; give the content of {_FORMATS}")
    if len(content) > limits.most_bytes:
        raise _refused(
            f"has more than the {limits.most_bytes:,} bytes that an image may have; save it "
            "smaller, or as JPEG"
        )
    kind = format_of(content)
    if kind is None:
        raise _refused(f"is {other_format(content)}; give the content of {_FORMATS}")
    if kind is ImageFormat.WEBP:
        _check_size(webp_size(content), limits)  # the plugin makes room for the pixels at once
    if kind is ImageFormat.JPEG and content.count(_START_OF_SCAN) > _MOST_SCANS:
        raise _refused(f"is a JPEG of more than {_MOST_SCANS} scans; save it again, with fewer")
    # Half an image is none, whatever else in this process would rather have it.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image = _PLUGINS[kind](io.BytesIO(content))
    _check_size(image.size, limits)
    return image


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.most_pixels:
        raise _refused(
            f"has {width:,} x {height:,} pixels; an image may have {limits.most_pixels:,} in all: "
            "scale it down"
        )


def _check_still(image: ImageFile.ImageFile) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise _refused(f"is an animated {image.format} of {frames} frames; give one of them alone")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged metadata: the image is taken as it stands, as viewers take it
        return image
    transpose = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if transpose is None else image.transpose(transpose)


def _rgb(image: Image.Image) -> RgbImage:
    if image.mode.startswith("I"):  # grey in 16 bits
        wide = np.asarray(image).astype(np.uint32)  # (H, W)
        grey = ((wide + 128) // 257).astype(np.uint8)  # 65,535 is 255 times 257
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _damage(content: bytes, error: Exception) -> str:
    kind = format_of(content)
    name = "image" if kind is None else kind.value
    reason = str(error) or type(error).__name__
    if "truncated" in reason.lower():
        return f"is a {name} that is cut short; send the whole file"
    return f"is a {name} that does not decode ({reason}); it is damaged or cut short: save it again"


def _refused(description: str) -> InvalidInputError:
    return InvalidInputError.single(_CONTENT, description)
