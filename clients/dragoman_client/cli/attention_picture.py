"""`dragoman translate --plot-attention`: what a translation looked at, as a picture."""

from __future__ import annotations

from pathlib import Path

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.reporting import CommandError, report
from dragoman_client.results import Translation


def check_attention_picture(out: Path) -> None:
    """Raises `CommandError` before anything is translated, where no picture could be written."""
    with needs_extra("plot"):
        import matplotlib  # noqa: F401 - whether it is there

        from dragoman_models.picture_file import check_picture_name
    with reported_model_errors():
        check_picture_name(out)
    if not out.parent.is_dir():
        raise CommandError(f"--plot-attention: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise CommandError(f"--plot-attention: {out} is a folder; give the name of a file")


def plot_best_attention(translation: Translation, out: Path) -> None:
    """Draws the attention of the best translation."""
    alignment = translation.hypotheses[0].alignment
    if alignment is None:
        raise CommandError("the server answered no attention; is it an older version?")
    with needs_extra("plot"):
        from dragoman_models.drawing_fonts import missing_letters
        from dragoman_models.translation.attention_drawing import draw_attention
    with reported_model_errors(), needs_extra("plot"):
        draw_attention(alignment.source_tokens, alignment.target_tokens, alignment.weights, out)
        missing = missing_letters([*alignment.source_tokens, *alignment.target_tokens])
    if missing and out.suffix.lower() in (".png", ".pdf"):
        report(
            f"no font of this machine has {missing!r}, so that boxes stand for it; .svg and .html "
            "leave letters to the fonts of whoever looks at them"
        )
