"""Fonts of this machine for the letters of the words that are drawn."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_USUAL_FAMILY = "DejaVu Sans"  # which matplotlib brings
# Boxes for all letters, and pictures in colours, which matplotlib does not draw.
_NO_LETTERS = ("Last Resort", "Noto Color Emoji")


def missing_letters(words: Sequence[str]) -> str:
    """The letters for which no font of this machine has a picture, in the order of the words.

    They come out as boxes, but for .svg and .html, which leave them to the reader's fonts.
    """
    return "".join(_families(words)[1])


@contextmanager
def fonts_for(words: Sequence[str]) -> Iterator[None]:
    """Within it, text is drawn by the fonts that have the words' letters."""
    import matplotlib

    with matplotlib.rc_context({"font.family": _families(words)[0]}), warnings.catch_warnings():
        # `missing_letters` tells the same, once.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _families(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The families of fonts that have the letters, and the letters that none has."""
    from matplotlib import font_manager

    families: list[str] = []
    missing = [letter for letter in dict.fromkeys("".join(words)) if letter.isprintable()]
    usual = font_manager.FontProperties(family=_USUAL_FAMILY)
    fonts: list[tuple[str, Any]] = [(_USUAL_FAMILY, font_manager.findfont(usual))]
    fonts += [
        (font.name, font.fname)
        for font in font_manager.fontManager.ttflist
        if not font.name.startswith(_NO_LETTERS)
    ]
    for family, file in fonts:
        if not missing and families:
            break
        font = font_manager.get_font(file)
        lacking = [letter for letter in missing if not font.get_char_index(ord(letter))]
        if len(lacking) < len(missing) or not families:
            families.append(family)
            missing = lacking
    return families, missing
