"""Where the sentences of a text end, and how a text is put together again with its own spacing.

The rule, in the order in which it is asked (docs/translation.md tells it to users):

1. A line break ends a sentence.
2. A full stop of Chinese or Japanese ends one, whatever follows; where a closing quote or bracket
   follows it at once, only before a blank or a line break.
3. Any other stop (. ! ? ... and those of other scripts), with the closing quotes and brackets
   behind it, ends one where a blank follows and then, behind opening quotes and brackets, no small
   letter.
4. A single period does not where it stands behind an abbreviation that never ends a sentence, a
   single letter, letters with periods between (U.S., z.B.), or a number of one or two digits
   (3. Mai).

Where it is in doubt it does not divide: two sentences translated as one lose less than one that is
torn apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_STOPS = ".!?\u2026\u2025\u203c\u2047\u2048\u2049\u061f\u06d4\u0589\u0964\u0965\u1362\u104b\u17d4"
_WIDE_STOPS = "\u3002\uff01\uff1f\uff61"
# Quotes are in both: where one language opens, another closes.
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb\u2039\u203a"
_CLOSERS = _QUOTES + ")\\]}\u300d\u300f\uff09\u3011\u300b\u3009"
_OPENERS = _QUOTES + "\u201e\u201a(\\[{\u00bf\u00a1\u2013\u2014\\-"

_LINE_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
# Possessive, and only from the first of several stops: a row of them is read once.
_END = re.compile(
    rf"(?<![{_STOPS}{_WIDE_STOPS}])(?P<stop>[{_STOPS}{_WIDE_STOPS}]++)"
    rf"(?P<closer>(?:[{_CLOSERS}]|[ \xa0\u202f][\u00bb\u203a](?=\s|\Z))*+)"
)
_BEGINNING = re.compile(rf"\s+[{_OPENERS}\s]*+(?P<letter>.)?", re.DOTALL)
_WORD_BEFORE = re.compile(r"(?<![\w'\u2019])[^\W_]+(?:\.[^\W_]+)*\Z")
_LONGEST_WORD = 24

_NAMES_FOLLOW = """
    mr mrs ms dr prof st mt rev hon gen capt lt sgt gov sen rep messrs vs cf dept eq approx
    mm mme mmes mlle mlles mgr pr chap av boul bd hr fr frl bzw ca evtl ggf inkl exkl vgl sog zzgl
    hrsg geb gest str tel feb aug sept oct okt nov dec dez
"""
_NUMBERS_FOLLOW = "no nos nr vol fig figs p pp art kap abs jan mar jun jul sep est op ed nummer"
# By what follows them; words that end sentences too ("no", "art") only before numbers.
_NEVER_LAST = frozenset(_NAMES_FOLLOW.split())
_NEVER_LAST_BEFORE_NUMBERS = frozenset(_NUMBERS_FOLLOW.split())


@dataclass(frozen=True, kw_only=True)
class SplitText:
    """A text in sentences, none of them blank, and the spacing before, between and behind them:
    one string more than sentences, most of them blanks."""

    sentences: tuple[str, ...]
    spacing: tuple[str, ...]

    def join(self, sentences: Sequence[str]) -> str:
        """Other sentences in the same spacing. Where there is none between two, as in Chinese, a
        blank is put between what is written with blanks. ``join(self.sentences)`` is the text."""
        return "".join(self._parts(sentences))

    def starts(self, sentences: Sequence[str]) -> list[int]:
        """Where each of ``sentences`` begins in what ``join`` makes of them, in code points."""
        starts, position = [], 0
        for index, part in enumerate(self._parts(sentences)):
            if index % 2:
                starts.append(position)
            position += len(part)
        return starts

    def _parts(self, sentences: Sequence[str]) -> Iterator[str]:
        yield self.spacing[0]
        for index, sentence in enumerate(sentences):
            yield sentence
            following = sentences[index + 1 : index + 2]
            spacing = self.spacing[index + 1]
            if not spacing and following and _needs_blank(sentence, following[0]):
                spacing = " "
            yield spacing

    def without(self, unreadable: Sequence[bool]) -> SplitText:
        """The same text, in which those sentences count as spacing."""
        sentences, spacing = [], [self.spacing[0]]
        for sentence, dropped, behind in zip(
            self.sentences, unreadable, self.spacing[1:], strict=True
        ):
            if dropped:
                spacing[-1] += sentence + behind
            else:
                sentences.append(sentence)
                spacing.append(behind)
        return SplitText(sentences=tuple(sentences), spacing=tuple(spacing))


def split_sentences(text: str) -> SplitText:
    """Divides a text by the rule above; a blank text has no sentences."""
    sentences: list[str] = []
    spacing = [""]
    for start, end in pairwise(sorted({0, *_cuts(text), len(text)})):
        chunk = text[start:end]
        sentence = chunk.strip()
        if not sentence:
            spacing[-1] += chunk
            continue
        left = len(chunk) - len(chunk.lstrip())
        spacing[-1] += chunk[:left]
        sentences.append(sentence)
        spacing.append(chunk[left + len(sentence) :])
    return SplitText(sentences=tuple(sentences), spacing=tuple(spacing))


def _cuts(text: str) -> Iterator[int]:
    for match in _LINE_BREAKS.finditer(text):
        yield match.end()
    for match in _END.finditer(text):
        if _ends_sentence(text, match):
            yield match.end()


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    stop, after = match["stop"], text[match.end() : match.end() + 1]
    if stop[-1] in _WIDE_STOPS:
        return not match["closer"] or after.isspace()
    beginning = _BEGINNING.match(text, match.end())
    if beginning is None or (beginning["letter"] or "").islower():
        return False
    return stop != "." or not _is_abbreviation(text, match.start(), beginning["letter"] or "")


def _is_abbreviation(text: str, period: int, following: str) -> bool:
    """Whether the period at this place belongs to the word before it."""
    match = _WORD_BEFORE.search(text[max(0, period - _LONGEST_WORD) : period])
    if match is None:
        return False
    word = match[0]
    if word.isdigit():
        return len(word) <= 2
    parts = word.split(".")
    last = parts[-1].lower()
    if following.isdigit() and last in _NEVER_LAST_BEFORE_NUMBERS:
        return True
    return all(len(part) == 1 for part in parts) or last in _NEVER_LAST


def _needs_blank(before: str, after: str) -> bool:
    """Whether two sentences with nothing between them would run into each other."""
    if not before or not after:
        return False
    return not any(unicodedata.east_asian_width(c) in "WFH" for c in (before[-1], after[0]))
