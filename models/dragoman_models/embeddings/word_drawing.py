"""Word maps and heat maps drawn by matplotlib: as PNG, SVG or PDF, or as a page of HTML."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.drawing_fonts import fonts_for
from dragoman_models.embeddings.label_places import place_labels
from dragoman_models.embeddings.word_map import WordMap
from dragoman_models.picture_file import new_figure, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ASKED, _NEIGHBOR = "tab:red", "tab:blue"
_LARGEST_WITH_NUMBERS = 25
_FARTHEST_WITHOUT_LINE = 8.0  # printer's points


def draw_map(word_map: WordMap, out: Path) -> None:
    """Draw the words at their places; those that were asked for in another colour.

    Raises `InvalidInputError` for a name of another format, and OSError.
    """
    with fonts_for(word_map.words):
        figure = new_figure(10, 8)
        axes = figure.add_subplot()
        asked = np.arange(len(word_map.words)) < word_map.asked_count
        for chosen, color in ((~asked, _NEIGHBOR), (asked, _ASKED)):
            across, up = word_map.places[chosen].T
            axes.scatter(across, up, s=18, c=color)
        axes.set_xticks([])
        axes.set_yticks([])
        _label(axes, word_map)
        save_picture(figure, out, "Word map")


def draw_heat_map(words: Sequence[str], cosines: NDArray[np.float64], out: Path) -> None:
    """Draw the cosines (n, n) of n words as colours, from -1 to 1; small matrices with numbers.

    Raises `InvalidInputError` for a name of another format, and OSError.
    """
    with fonts_for(words):
        size = max(4.0, 0.45 * len(words) + 2)
        figure = new_figure(size + 1, size)
        axes = figure.add_subplot()
        image = axes.imshow(cosines, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_xticks(range(len(words)), words, rotation=90, parse_math=False)
        axes.set_yticks(range(len(words)), words, parse_math=False)
        figure.colorbar(image, label="cosine")
        if len(words) <= _LARGEST_WITH_NUMBERS:
            for (row, column), cosine in np.ndenumerate(cosines):
                axes.text(
                    column, row, f"{cosine:.2f}", ha="center", va="center", fontsize=7,
                    color="white" if abs(cosine) > 0.6 else "black",
                )  # fmt: skip
        save_picture(figure, out, "Cosines of words")


def _label(axes: "Axes", word_map: WordMap) -> None:
    """Write the words beside their points, with a thin line to those that had to move away."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    labels = [
        axes.annotate(
            word, place, xytext=(0, 0), textcoords="offset points", parse_math=False,
            fontsize=9 if index < word_map.asked_count else 7, in_layout=False,
            color=_ASKED if index < word_map.asked_count else "black",
        )
        for index, (word, place) in enumerate(zip(word_map.words, word_map.places, strict=True))
    ]  # fmt: skip
    canvas: Any = FigureCanvasAgg(axes.figure.figure)
    canvas.draw()  # which also gives the axes their size
    points_per_dot = 72 / axes.figure.figure.dpi
    extents = [label.get_window_extent(canvas.get_renderer()) for label in labels]
    sizes = np.array([(box.width, box.height) for box in extents]) * points_per_dot
    points = axes.transData.transform(word_map.places) * points_per_dot
    frame = np.array(axes.get_window_extent().extents) * points_per_dot
    boxes = place_labels(points, sizes, frame)
    for index, (label, box, point) in enumerate(zip(labels, boxes, points, strict=True)):
        label.set_position(tuple(box[:2] - point))
        nearest = np.clip(point, box[:2], box[2:]) - point
        if np.linalg.norm(nearest) > _FARTHEST_WITHOUT_LINE:
            line = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
            axes.annotate(
                "", word_map.places[index], xytext=tuple(nearest), textcoords="offset points",
                arrowprops=line, in_layout=False,
            )  # fmt: skip
