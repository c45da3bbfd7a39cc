"""The attention of a translation as a heat map: the source across, the translation down."""

from collections.abc import Sequence
from pathlib import Path

from dragoman_models.drawing_fonts import fonts_for
from dragoman_models.errors import InvalidInputError
from dragoman_models.picture_file import new_figure, save_picture

_MOST_TOKENS = 400  # on one side: a longer picture has no letters that can be read
_INCHES_A_TOKEN = 0.28
_AROUND = 2.5  # inches for the tokens themselves and the scale


def draw_attention(
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    weights: Sequence[Sequence[float]],
    out: Path,
) -> None:
    """Draw the weights (T, S) of T tokens of a translation on S tokens of its source, from 0 to 1.

    Raises `InvalidInputError` for a name of no known format and for more than 400 tokens on a side,
    and OSError.
    """
    longest = max(len(source_tokens), len(target_tokens))
    if longest > _MOST_TOKENS:
        raise InvalidInputError.single(
            "text", f"makes {longest:,} tokens; a picture holds {_MOST_TOKENS}: divide the text"
        )
    with fonts_for([*source_tokens, *target_tokens]):
        width, height = (
            _AROUND + _INCHES_A_TOKEN * len(tokens) for tokens in (source_tokens, target_tokens)
        )
        figure = new_figure(width + 1, height)
        axes = figure.add_subplot()
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xticks(range(len(source_tokens)), source_tokens, rotation=90, parse_math=False)
        axes.set_yticks(range(len(target_tokens)), target_tokens, parse_math=False)
        axes.set_xlabel("source")
        axes.set_ylabel("translation")
        figure.colorbar(image, label="attention", shrink=min(1.0, 3 / height))
        save_picture(figure, out, "Attention")
