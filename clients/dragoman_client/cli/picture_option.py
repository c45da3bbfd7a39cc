"""An option that names a picture to draw, looked at before the work begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.reporting import CommandError, report


def check_picture(out: Path, flag: str) -> None:
    """Raises `CommandError` where no picture could be written to ``out``."""
    with needs_extra("plot"):
        import matplotlib  # noqa: F401 - whether it is there

        from dragoman_models.picture_file import check_picture_name
    with reported_model_errors():
        check_picture_name(out)
    if not out.parent.is_dir():
        raise CommandError(f"{flag}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise CommandError(f"{flag}: {out} is a folder; give the name of a file")


def mention_missing_letters(words: Sequence[str], out: Path) -> None:
    """Says which letters of a drawn picture no font of this machine has."""
    with needs_extra("plot"):
        from dragoman_models.drawing_fonts import missing_letters

        missing = missing_letters(words)
    if missing and out.suffix.lower() in (".png", ".pdf"):
        report(
            f"no font of this machine has {missing!r}, so that boxes stand for it; .svg and .html "
            "leave letters to the fonts of whoever looks at them"
        )
