"""`dragoman translate --plot-attention`: what a translation looked at, as a picture."""

from __future__ import annotations

from pathlib import Path

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.picture_option import check_picture, mention_missing_letters
from dragoman_client.cli.reporting import CommandError
from dragoman_client.results import Translation


def check_attention_picture(out: Path) -> None:
    """Raises `CommandError` before anything is translated, where no picture could be written."""
    check_picture(out, "--plot-attention")


def plot_best_attention(translation: Translation, out: Path) -> None:
    """Draws the attention of the best translation."""
    alignment = translation.hypotheses[0].alignment
    if alignment is None:
        raise CommandError("the server answered no attention; is it an older version?")
    with needs_extra("plot"):
        from dragoman_models.translation.attention_drawing import draw_attention
    with reported_model_errors(), needs_extra("plot"):
        draw_attention(alignment.source_tokens, alignment.target_tokens, alignment.weights, out)
    mention_missing_letters([*alignment.source_tokens, *alignment.target_tokens], out)
