"""Pairs of several sentences, taken apart: what stands in them is learnt by itself too.

A corpus of sentence pairs has few pairs of a word or two, and greetings hardly ever stand alone in
it: "Hi! How are you?" is there, "Hi!" is not. Where both sides have as many sentences that end
alike, the first goes with the first and so on; and a single word before the first comma on both
sides is a sentence of its own (Yes, I know. / Oui, je sais. -> Yes. / Oui.).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.held_out import HeldOut
from dragoman_models.translation.sentence_splitting import split_sentences

_OPENING = re.compile(r"^([^\W\d_]+(?:['\u2019-][^\W\d_]+)*)\s?, ?\S")
_MARK = re.compile(r"[.!?\u2026]+[\"\u00bb\u201c\u201d\u2019)\s]*$")
_MOST_DIFFERENT = 3.0  # times as long, with room for short sentences
_ROOM = 10  # characters


def sentence_parts(pair: SentencePair) -> Iterator[SentencePair]:
    """The sentences of a pair, where both sides have as many, and its opening word."""
    sides = [split_sentences(side).sentences for side in pair]
    if len(sides[0]) == len(sides[1]) > 1:
        parts = [SentencePair(*part) for part in zip(*sides, strict=True)]
        if all(map(_go_together, parts)):
            yield from parts
    openings = [_OPENING.match(side) for side in pair]
    if all(openings):
        yield SentencePair(*(f"{found[1]}." for found in openings if found))


def _go_together(part: SentencePair) -> bool:
    """Ends alike in asking or not, and is about as long."""
    marks = [_MARK.search(side) for side in part]
    asks = ["?" in mark[0] if mark else False for mark in marks]
    short, long = sorted(map(len, part))
    return asks[0] == asks[1] and long <= _MOST_DIFFERENT * short + _ROOM


def with_parts(pairs: Sequence[SentencePair], held_out: HeldOut) -> list[SentencePair]:
    """The pairs, and behind them their parts, each once, but none of a sentence held out."""
    found = dict.fromkeys(part for pair in pairs for part in sentence_parts(pair))
    known = set(pairs)
    return [
        *pairs,
        *(part for part in found if part not in known and not held_out.holds_any(part)),
    ]
