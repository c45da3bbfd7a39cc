"""Pictures by matplotlib, without a screen: as PNG, SVG or PDF, or as a page of HTML."""

import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman_models.errors import InvalidInputError, quoted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg", ".pdf", ".html")
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
{drawing}
</body>
</html>
"""


def check_picture_name(out: Path) -> None:
    """Raises `InvalidInputError` unless the name of `out` tells a format that can be drawn."""
    if out.suffix.lower() not in _SUFFIXES:
        raise InvalidInputError.single(
            "out", f"{quoted(out.name)} must end in {', '.join(_SUFFIXES)}"
        )


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure; sizes in inches."""
    # Not pyplot: that would keep the figure, and look for a screen.
    from matplotlib.figure import Figure

    # Compressed: no empty space around axes that must be square.
    return Figure(figsize=(width, height), layout="compressed")


def save_picture(figure: "Figure", out: Path, title: str) -> None:
    """Write the figure; `title` is that of a page of HTML.

    Raises `InvalidInputError` for a name of another format, and OSError.
    """
    import matplotlib

    check_picture_name(out)
    # Letters as text, which a browser draws in a font that has them; and the same bytes each time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "dragoman"}):
        if out.suffix.lower() != ".html":
            figure.savefig(out, dpi=150, bbox_inches="tight")
            return
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = drawing.getvalue()
    page = _PAGE.format(title=html.escape(title), drawing=svg[svg.index("<svg") :])
    out.write_text(page, encoding="utf-8")
