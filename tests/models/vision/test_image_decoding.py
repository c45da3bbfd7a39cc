"""Laws of decoding: pixels by the formats' specifications, limits before work, no other errors."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from tests.models.vision.png_file import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB_ALPHA,
    SIGNATURE,
    bit_png_file,
    chunk,
    header,
    png_file,
)

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.image_decoding import ImageLimits, decode_image, read_image

LIMITS = ImageLimits(most_bytes=100_000, most_pixels=10_000)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def pixels(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """Three gradients, which a JPEG keeps almost as they are."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [255 * y / height, 255 * x / width, 127 * (x + y) / (width + height)], 2
    ).astype(np.uint8)


def saved(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(out, kind, **options)
    return out.getvalue()


def refusal(content: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(InvalidInputError) as caught:
        decode_image(content, limits=limits)
    (violation,) = caught.value.violations
    assert violation.field == "content"
    return violation.description


def outcome(content: bytes) -> NDArray[np.uint8] | None:
    """The pixels, or None where the content was refused as it should be; all else is raised."""
    try:
        return decode_image(content, limits=LIMITS)
    except InvalidInputError as error:
        (violation,) = error.violations
        if violation.field != "content":
            raise AssertionError(f"the field is {violation.field}") from error
        return None


def over_white(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    share = alpha[..., np.newaxis] / 255.0
    return colour * share + 255.0 * (1.0 - share)


# --- pixels ---


@given(st.data())
@settings(max_examples=40)
def test_png_pixels_are_those_of_the_specification(data: st.DataObject) -> None:
    height, width = data.draw(SHAPES)
    rgb = data.draw(hnp.arrays(np.uint8, (height, width, 3)))
    np.testing.assert_array_equal(decode_image(png_file(rgb), limits=LIMITS), rgb)
    grey = rgb[:, :, 0]
    three = np.stack([grey] * 3, axis=2)
    np.testing.assert_array_equal(decode_image(png_file(grey, colour=GREY), limits=LIMITS), three)
    bits = grey > 127
    decoded = decode_image(bit_png_file(bits), limits=LIMITS)
    np.testing.assert_array_equal(decoded, np.stack([bits * np.uint8(255)] * 3, axis=2))


@given(hnp.arrays(np.uint16, SHAPES))
@settings(max_examples=40)
@example(np.array([[0, 65_535, 257, 128, 129]], dtype=np.uint16))
def test_sixteen_bits_of_grey_are_rounded_to_eight(grey: NDArray[np.uint16]) -> None:
    decoded = decode_image(png_file(grey, colour=GREY), limits=LIMITS)
    expected = np.round(grey.astype(np.float64) * 255 / 65_535)
    np.testing.assert_array_equal(decoded, np.stack([expected] * 3, axis=2))


def test_sixteen_bits_of_colour_become_eight() -> None:
    wide = np.random.default_rng(1).integers(0, 65_536, (7, 5, 3), dtype=np.uint16)
    decoded = decode_image(png_file(wide), limits=LIMITS)
    np.testing.assert_allclose(decoded, wide * (255 / 65_535), atol=1.0)


@given(st.data())
@settings(max_examples=40)
def test_what_is_transparent_lies_over_white(data: st.DataObject) -> None:
    height, width = data.draw(SHAPES)
    samples = data.draw(hnp.arrays(np.uint8, (height, width, 4)))
    decoded = decode_image(png_file(samples, colour=RGB_ALPHA), limits=LIMITS)
    expected = over_white(samples[:, :, :3], samples[:, :, 3])
    np.testing.assert_allclose(decoded, expected, atol=0.51)
    grey = samples[:, :, :2]
    decoded = decode_image(png_file(grey, colour=GREY_ALPHA), limits=LIMITS)
    expected = over_white(np.stack([grey[:, :, 0]] * 3, axis=2), grey[:, :, 1])
    np.testing.assert_allclose(decoded, expected, atol=0.51)


def test_palettes_become_their_colours_and_their_holes_white() -> None:
    indices = pixels(8, 6) % 4
    colours = pixels(4, 3, seed=2)
    palette = chunk(b"PLTE", colours.tobytes())
    decoded = decode_image(png_file(indices, colour=PALETTE, before=[palette]), limits=LIMITS)
    np.testing.assert_array_equal(decoded, colours[indices])
    alphas = np.array([0, 128, 255, 64], dtype=np.uint8)
    holes = [palette, chunk(b"tRNS", alphas.tobytes())]
    decoded = decode_image(png_file(indices, colour=PALETTE, before=holes), limits=LIMITS)
    np.testing.assert_allclose(decoded, over_white(colours, alphas)[indices], atol=0.51)


def test_the_colour_that_is_transparent_becomes_white() -> None:
    rgb = pixels(5, 5, 3)
    rgb[2, 3] = rgb[0, 1] = (1, 2, 3)
    hole = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    expected = rgb.copy()
    expected[2, 3] = expected[0, 1] = 255
    np.testing.assert_array_equal(
        decode_image(png_file(rgb, before=[hole]), limits=LIMITS), expected
    )


def test_webp_without_loss_is_what_was_saved() -> None:
    rgb = pixels(9, 7, 3)
    content = saved(rgb, "WEBP", lossless=True)
    np.testing.assert_array_equal(decode_image(content, limits=LIMITS), rgb)
    samples = pixels(9, 7, 4)
    content = saved(samples, "WEBP", lossless=True, exact=True)
    expected = over_white(samples[:, :, :3], samples[:, :, 3])
    np.testing.assert_allclose(decode_image(content, limits=LIMITS), expected, atol=0.51)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_and_lossy_webp_are_close_to_what_was_saved(options: dict[str, Any]) -> None:
    rgb = smooth(40, 56)
    decoded = decode_image(saved(rgb, "JPEG", quality=95, **options), limits=LIMITS)
    np.testing.assert_allclose(decoded.astype(int), rgb, atol=14)
    assert np.abs(decoded.astype(int) - rgb).mean() < 2.0
    decoded = decode_image(saved(rgb, "WEBP", quality=95), limits=LIMITS)
    assert np.abs(decoded.astype(int) - rgb).mean() < 3.0


def test_cmyk_and_grey_jpegs_become_rgb() -> None:
    grey = smooth(32, 32)[:, :, 0]
    decoded = decode_image(saved(grey, "JPEG", quality=95), limits=LIMITS)
    assert (np.ptp(decoded, axis=2) == 0).all()
    np.testing.assert_allclose(decoded[:, :, 0].astype(int), grey, atol=8)
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    decoded = decode_image(saved(cyan, "JPEG", quality=95), limits=LIMITS)
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(axis=0), [0, 255, 255], atol=4)


# The corner of the file where the image's own first row and column are (Exif 2.32, tag 274).
ORIENTATIONS: dict[int, Any] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_the_orientation_of_exif_is_applied(
    orientation: int, kind: str, options: dict[str, Any]
) -> None:
    rgb = pixels(4, 7, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(saved(rgb, kind, exif=exif, **options), limits=LIMITS)
    np.testing.assert_array_equal(decoded, ORIENTATIONS[orientation](rgb))


def test_a_jpeg_is_turned_too() -> None:
    rgb = smooth(24, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_image(saved(rgb, "JPEG", quality=95, exif=exif), limits=LIMITS)
    assert decoded.shape == (40, 24, 3)
    assert np.abs(decoded.astype(int) - ORIENTATIONS[6](rgb)).mean() < 2.0


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_there_is_not_changes_nothing(orientation: int) -> None:
    rgb = pixels(4, 7, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode_image(saved(rgb, "PNG", exif=exif), limits=LIMITS), rgb)


@given(st.binary(max_size=60))
@settings(max_examples=40)
def test_damaged_metadata_do_not_cost_the_image(noise: bytes) -> None:
    rgb = pixels(3, 4, 3)
    content = png_file(rgb, before=[chunk(b"eXIf", b"II*\0" + noise)])
    assert sorted(decode_image(content, limits=LIMITS).ravel()) == sorted(rgb.ravel())


def test_the_first_picture_of_a_jpeg_with_several_is_taken() -> None:
    # Phones save a second one, for depth or brightness, behind the one that people see.
    first, second = smooth(16, 16), 255 - smooth(16, 16)
    out = io.BytesIO()
    Image.fromarray(first).save(
        out, "MPO", save_all=True, append_images=[Image.fromarray(second)], quality=95
    )
    decoded = decode_image(out.getvalue(), limits=LIMITS)
    assert np.abs(decoded.astype(int) - first).mean() < 4.0


# --- limits ---


def bomb(width: int, height: int) -> bytes:
    """A PNG that is small and says it is large; its one row of data is not even all there."""
    data = zlib.compress(b"\0" * 1_000)
    return SIGNATURE + header(width, height) + chunk(b"IDAT", data) + chunk(b"IEND")


def webp_with_canvas(width: int, height: int) -> bytes:
    """An extended WebP whose canvas is as large as it says."""
    content = bytearray(saved(pixels(2, 2, 4), "WEBP", lossless=True, exif=b"Exif\0\0II*\0"))
    assert content[12:16] == b"VP8X"
    content[24:27] = (width - 1).to_bytes(3, "little")
    content[27:30] = (height - 1).to_bytes(3, "little")
    return bytes(content)


@pytest.mark.parametrize(
    "content", [bomb(100_000, 100_000), bomb(2**31 - 1, 1), webp_with_canvas(16_383, 16_383)]
)
def test_too_many_pixels_are_refused_before_there_is_room_for_them(content: bytes) -> None:
    decode_image(png_file(pixels(2, 2, 3)), limits=LIMITS)  # what is made once is made
    tracemalloc.start()
    try:
        text = refusal(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "pixels; an image may have 10,000 in all: scale it down" in text
    assert peak < 1_000_000


def test_as_many_pixels_and_bytes_as_allowed_are_decoded() -> None:
    content = png_file(pixels(20, 30, 3))
    limits = ImageLimits(most_bytes=len(content), most_pixels=600)
    assert decode_image(content, limits=limits).shape == (20, 30, 3)
    assert "20 pixels" in refusal(content, ImageLimits(most_bytes=len(content), most_pixels=599))
    text = refusal(content, ImageLimits(most_bytes=len(content) - 1, most_pixels=600))
    assert f"more than the {len(content) - 1:,} bytes" in text


def test_every_webp_states_the_size_that_it_has() -> None:
    for options in ({"lossless": True}, {"quality": 50}, {"quality": 50, "exif": b"Exif\0\0"}):
        content = saved(pixels(13, 17, 3), "WEBP", **options)
        small = ImageLimits(most_bytes=100_000, most_pixels=13 * 17 - 1)
        assert "17 x 13 pixels" in refusal(content, small)
        assert decode_image(content, limits=LIMITS).shape == (13, 17, 3)


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    content = saved(smooth(16, 16), "JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    last = content[scan:-2]
    assert decode_image(content, limits=LIMITS).shape == (16, 16, 3)
    assert "scans" in refusal(content[:-2] + last * 100 + content[-2:])


# --- what is refused ---


def animated(kind: str) -> bytes:
    frames: list[Any] = [Image.fromarray(pixels(5, 5, 3, seed=seed)) for seed in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused_by_name(kind: str) -> None:
    assert f"is an animated {kind} of 3 frames; give one" in refusal(animated(kind))


@pytest.mark.parametrize(
    ("kind", "name"), [("GIF", "a GIF"), ("BMP", "a BMP"), ("TIFF", "a TIFF"), ("AVIF", "an AVIF"),
                       ("PDF", "a PDF"), ("JPEG2000", "a JPEG 2000")]
)  # fmt: skip
def test_other_formats_are_refused_by_name(kind: str, name: str) -> None:
    text = refusal(saved(pixels(5, 5, 3), kind))
    assert text == f"is {name}; give the content of a JPEG, PNG or WebP file"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"no image", "is no image that can be read"),
        (b"<svg xmlns='x'/>", "is an SVG"),
        (b"RIFF\x04\0\0\0WEBP", "is a WebP that is cut short"),
        (b"RIFF\x24\0\0\0WEBPABCD" + b"\0" * 20, "is a WebP that"),
        (b"\xff\xd8\xff", "is a JPEG that"),
        (SIGNATURE, "is a PNG that"),
        (SIGNATURE + header(0, 5) + chunk(b"IEND"), "is a PNG that does not decode"),
    ],
)
def test_what_is_no_image_is_refused_with_its_reason(content: bytes, text: str) -> None:
    assert text in refusal(content)


def contents() -> dict[str, bytes]:
    rgb = smooth(24, 32)
    return {
        "jpeg": saved(rgb, "JPEG", quality=90),
        "progressive": saved(rgb, "JPEG", quality=90, progressive=True),
        "png": png_file(pixels(12, 16, 3)),
        "webp": saved(rgb, "WEBP", quality=90),
        "lossless": saved(rgb, "WEBP", lossless=True),
    }


CONTENTS = contents()


@pytest.mark.parametrize("name", CONTENTS)
def test_half_a_file_is_said_to_be_cut_short(name: str) -> None:
    content = CONTENTS[name]
    assert "cut short" in refusal(content[: len(content) // 2])


@given(st.sampled_from(sorted(CONTENTS)), st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_a_file_that_is_cut_short_is_refused_or_whole(name: str, share: float) -> None:
    content = CONTENTS[name]
    whole = decode_image(content, limits=LIMITS)
    found = outcome(content[: int(share * len(content))])
    if found is not None:
        np.testing.assert_array_equal(found, whole)  # what was cut off held no pixels


@given(
    st.sampled_from(sorted(CONTENTS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1,
             max_size=8),
)  # fmt: skip
@settings(max_examples=80)
def test_any_damage_gives_an_image_or_a_domain_error(
    name: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(CONTENTS[name])
    for place, value in damage:
        content[int(place * len(content))] = value
    found = outcome(bytes(content))
    if found is not None:
        assert found.dtype == np.uint8
        assert found.shape[2:] == (3,)
        assert 0 < found.shape[0] * found.shape[1] <= LIMITS.most_pixels


@given(st.sampled_from([b"", b"\xff\xd8\xff", SIGNATURE, SIGNATURE + header(3, 2), b"RIFFabcdWEBP",
                        b"RIFFabcdWEBPVP8X", b"RIFFabcdWEBPVP8L", b"RIFFabcdWEBPVP8 "]),
       st.binary(max_size=300))  # fmt: skip
@settings(max_examples=60)
def test_any_bytes_give_an_image_or_a_domain_error(start: bytes, rest: bytes) -> None:
    found = outcome(start + rest)
    assert found is None or found.ndim == 3


# --- files ---


def test_a_file_is_read_like_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENTS["png"])
    np.testing.assert_array_equal(read_image(path), decode_image(CONTENTS["png"], limits=LIMITS))


def test_errors_of_files_name_the_file(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(CONTENTS["jpeg"][:200])
    large = tmp_path / "large.png"
    large.write_bytes(SIGNATURE + b"\0" * 200_000)
    for path, text in (
        (cut, "cut short"),
        (large, "more than the 100,000 bytes"),
        (tmp_path / "missing.png", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            read_image(path, limits=LIMITS)
        (violation,) = caught.value.violations
        assert violation.field == str(path)
        assert text in violation.description
