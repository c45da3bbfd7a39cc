"""What it means that a name or number of the source stands in a translation."""

from __future__ import annotations

import re

_DIGIT_GROUPS = re.compile(r"(?<=\d)[,.\u00a0\u202f ](?=\d{3}(?!\d))")


def survives(entity: str, translation: str) -> bool:
    """Whether the entity stands in the translation as a word of its own.

    A genitive's s may follow it, and the digits of a number may be grouped.
    """
    text = _DIGIT_GROUPS.sub("", translation) if entity.isdigit() else translation
    return re.search(rf"(?<!\w){re.escape(entity)}s?(?!\w)", text) is not None
