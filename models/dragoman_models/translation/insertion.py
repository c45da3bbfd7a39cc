"""Puts a name or a number into a training pair that has none, on both sides alike.

Where one side says "he", "here" or "three", a name or a number can stand instead, if the other side
says the same in its language; and anybody can be addressed at the end of a sentence. The rules know
English, French and German; in other languages only the last applies.
"""

from __future__ import annotations

import random
import re

from dragoman_models.translation.corpus import SentencePair

_SUBJECTS = (("He", "Il", "Er"), ("She", "Elle", "Sie"))
_IMPERSONAL = re.compile(r"^(?:Il faut|Il y a|Il pleut|Il neige|Il fait|Il est \w+ heures?)\b")
_OBJECT = re.compile(
    r"\b(?:with|for|without|from|about|avec|pour|sans|chez|mit|für|ohne|von|bei)"
    r" (him|her|lui|elle|ihm|ihn|ihr|sie)(?= ?[.,!?])"
)
_PLACE = re.compile(
    r"\b(?:(?:live[sd]?|living|work(?:s|ed|ing)?|stay(?:s|ed|ing)?|been|born|is|are|was|were)"
    r" (here|there)|(ici|là-bas|hier|dort))(?= ?[.!?])"
)
_PREPOSITIONS = {"here": "in", "there": "in", "ici": "à", "là-bas": "à", "hier": "in", "dort": "in"}
_NUMBER_WORDS = tuple(
    frozenset(words.split())
    for words in (
        "two deux zwei", "three trois drei", "four quatre vier", "five cinq fünf", "six sechs",
        "seven sept sieben", "eight huit acht", "nine neuf neun", "ten dix zehn",
        "twenty vingt zwanzig", "thirty trente dreißig", "hundred cent hundert",
    )
)  # fmt: skip
_WORD = re.compile(r"\w+")
_END = re.compile(r"^(.*[^\s.!?,;:»\"])(\s?[.!?])$")

# Of the pairs that could have them: pronouns and unaddressed sentences must stay the common case.
_SHARES = {"number": 0.8, "place": 0.8, "object": 0.6, "subject": 0.6, "address": 0.25}


def insert_entity(pair: SentencePair, *, name: str, chance: random.Random) -> SentencePair | None:
    """The pair with ``name``, or a number of 2 to 5 digits, in it; None where it stays."""
    digits = chance.choice((2, 3, 3, 4, 4, 5))
    number = str(chance.randint(10 ** (digits - 1), 10**digits - 1))
    found = {
        "number": _in_place_of_number_word(pair, number),
        "place": _as_place(pair, name),
        "object": _as_object(pair, name),
        "subject": _as_subject(pair, name),
        "address": _as_address(pair, name),
    }
    for kind, inserted in found.items():
        if inserted is not None:
            return inserted if chance.random() < _SHARES[kind] else None
    return None


def _as_subject(pair: SentencePair, name: str) -> SentencePair | None:
    """He sleeps / Il dort -> Anna sleeps / Anna dort."""
    if any(_IMPERSONAL.match(side) for side in pair):
        return None
    first = {side.split(" ", 1)[0] for side in pair}
    if not any(first <= set(subjects) for subjects in _SUBJECTS):
        return None
    return SentencePair(*(side.replace(side.split(" ", 1)[0], name, 1) for side in pair))


def _as_object(pair: SentencePair, name: str) -> SentencePair | None:
    """with him. / avec lui. -> with Anna. / avec Anna."""
    matches = [list(_OBJECT.finditer(side)) for side in pair]
    if any(len(found) != 1 for found in matches):
        return None
    return SentencePair(
        *(
            side[: match.start(1)] + name + side[match.end(1) :]
            for side, (match,) in zip(pair, matches, strict=True)
        )
    )


def _as_place(pair: SentencePair, name: str) -> SentencePair | None:
    """lives here. / habite ici. -> lives in Anna. / habite à Anna."""
    sides = []
    for side in pair:
        matches = list(_PLACE.finditer(side))
        if len(matches) != 1:
            return None
        group = 1 if matches[0][1] else 2
        start, end = matches[0].span(group)
        sides.append(f"{side[:start]}{_PREPOSITIONS[matches[0][group]]} {name}{side[end:]}")
    return SentencePair(*sides)


def _in_place_of_number_word(pair: SentencePair, number: str) -> SentencePair | None:
    """three cats / trois chats -> 4738 cats / 4738 chats."""
    for words in _NUMBER_WORDS:
        matches = [[m for m in _WORD.finditer(side) if m[0] in words] for side in pair]
        if all(len(found) == 1 for found in matches):
            return SentencePair(
                *(
                    side[: match.start()] + number + side[match.end() :]
                    for side, (match,) in zip(pair, matches, strict=True)
                )
            )
    return None


def _as_address(pair: SentencePair, name: str) -> SentencePair | None:
    """I am late. / Je suis en retard. -> I am late, Anna. / Je suis en retard, Anna."""
    ends = [_END.match(side) for side in pair]
    if not all(ends):
        return None
    return SentencePair(*(f"{end[1]}, {name}{end[2]}" for end in ends if end))
