"""Sources with a word in another case: at the beginning of a sentence a word is what it is within.

Subword pieces are cut by case, so "Oui." may share no piece with "oui", and a word that hardly ever
begins a sentence of the corpus is unknown there: a model that was taught to copy unknown words in
upper case copies it. With a word here and there capitalized, or all of them in lower or upper
case, and the same target, both spellings mean the same.
"""

from __future__ import annotations

import random
import re

_WORD = re.compile(r"[^\W\d_]{2,}")
_CAPITALIZED, _LOWER = 0.7, 0.9  # cumulative shares of what is done; the rest is all in upper case


def change_case(text: str, chance: random.Random) -> str:
    """The text with one of its words capitalized, or all in lower case, or all in upper case."""
    drawn = chance.random()
    if drawn >= _CAPITALIZED:
        return text.lower() if drawn < _LOWER else text.upper()
    small = [match for match in _WORD.finditer(text) if match[0].islower()]
    if not small:
        return text
    word = chance.choice(small)
    return text[: word.start()] + word[0].capitalize() + text[word.end() :]
