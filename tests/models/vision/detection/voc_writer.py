"""Writes small data sets in the Pascal VOC layout."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Corners = tuple[float, float, float, float]


def write_image(folder: Path, name: str, pixels: NDArray[np.uint8]) -> Path:
    """JPEGImages/NAME.png."""
    path = folder / "JPEGImages" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_annotation(
    folder: Path, name: str, objects: Iterable[tuple[str, Corners]], size: tuple[int, int]
) -> Path:
    """Annotations/NAME.xml; corners as in the format, from 1, the last pixel included."""
    path = folder / "Annotations" / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for label, box in objects
    )
    width, height = size
    path.write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{rows}"
        "</annotation>"
    )
    return path


def write_discs(folder: Path, *, count: int, generator: np.random.Generator) -> None:
    """Grey images of 96 x 72 with a dark and a light disc each, and their boxes."""
    rows, columns = np.mgrid[:72, :96]
    for number in range(count):
        pixels = np.full((72, 96, 3), 120, dtype=np.uint8)
        objects = []
        for label, value, left in (("dark", 10, 0), ("light", 240, 48)):
            radius = int(generator.integers(7, 16))
            x = left + int(generator.integers(radius + 1, 47 - radius))
            y = int(generator.integers(radius + 1, 71 - radius))
            pixels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = value
            corners = (x - radius + 1, y - radius + 1, x + radius + 1, y + radius + 1)
            objects.append((label, corners))
        write_image(folder, f"disc_{number:02}", pixels)
        write_annotation(folder, f"disc_{number:02}", objects, (96, 72))
