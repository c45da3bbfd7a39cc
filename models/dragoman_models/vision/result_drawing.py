"""Pictures of what models found in images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman_models.drawing_fonts import fonts_for
from dragoman_models.picture_file import new_figure, save_picture
from dragoman_models.vision.results import ClassProbability, DetectedObject, RgbImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = 6.0  # the longer side of a picture
_COLOURS = "tab10"  # one colour a class, ten of them


def draw_objects(image: RgbImage, objects: Sequence[DetectedObject], out: Path) -> None:
    """Draw the image with a box around each object, its label and score above it.

    Raises `InvalidInputError` for a name of no known format, and OSError; as all here do.
    """
    with fonts_for([one.label for one in objects]):
        save_picture(objects_figure(image, objects), out, "Detected objects")


def objects_figure(image: RgbImage, objects: Sequence[DetectedObject]) -> "Figure":
    """The figure of `draw_objects`; its axes count in the image's pixels."""
    import matplotlib
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    scale = _INCHES / max(height, width)
    figure = new_figure(max(width * scale, 1.5), max(height * scale, 1.5))
    axes = figure.add_subplot()
    _show(axes, image)
    colours = matplotlib.colormaps[_COLOURS]
    for one in sorted(objects, key=lambda one: one.score):  # the surest on top
        colour = colours(one.class_id % colours.N)
        box = one.box
        corner, size = (box.x_min, box.y_min), (box.x_max - box.x_min, box.y_max - box.y_min)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.5))
        axes.text(
            box.x_min, box.y_min, f"{one.label} {one.score:.2f}", fontsize=7, color="white",
            verticalalignment="bottom", parse_math=False, clip_on=False,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    return figure


def draw_classes(image: RgbImage, classes: Sequence[ClassProbability], out: Path) -> None:
    """Draw the image, and beside it a bar for each class, the most probable first."""
    labels = [one.label for one in classes]
    with fonts_for(labels):
        figure = new_figure(2 * _INCHES, max(_INCHES * 0.6, 0.3 * len(labels) + 1))
        picture, bars = figure.subplots(1, 2)
        _show(picture, image)
        places = range(len(labels))
        bars.barh(places, [one.probability for one in classes])
        bars.set_yticks(places, labels, parse_math=False)
        bars.invert_yaxis()
        bars.set_xlim(0, 1)
        bars.set_xlabel("probability")
        for place, one in zip(places, classes, strict=True):
            bars.annotate(
                f"{one.probability:.3f}", (one.probability, place), xytext=(3, 0),
                textcoords="offset points", verticalalignment="center", fontsize=8,
            )  # fmt: skip
        save_picture(figure, out, "Classes")


def draw_pair(
    images: tuple[RgbImage, RgbImage], *, distance: float, threshold: float, same: bool, out: Path
) -> None:
    """Draw two images side by side, and below where their distance lies beside the threshold."""
    figure = new_figure(1.5 * _INCHES, _INCHES)
    grid = figure.add_gridspec(2, 2, height_ratios=(6, 1))
    for column, image in enumerate(images):
        _show(figure.add_subplot(grid[0, column]), image)
    scale = figure.add_subplot(grid[1, :])
    scale.barh([0], [distance], color="tab:green" if same else "tab:red")
    scale.axvline(threshold, color="black", linestyle="--")
    scale.set_xlim(0, 2)
    scale.set_yticks([])
    decision = "same" if same else "different"
    scale.set_xlabel(f"{decision}: distance {distance:.3f}, threshold {threshold:.3f}")
    save_picture(figure, out, "Comparison")


def _show(axes: "Axes", image: RgbImage) -> None:
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0))  # pixels' edges, as boxes have them
    axes.set_axis_off()
