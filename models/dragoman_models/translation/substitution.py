"""Replaces names and numbers on both sides of a training pair, to teach copying.

A small model sees few names often enough to translate them; unseen ones it replaces by something
frequent. But a name that stands the same on both sides can be exchanged for any other on both
sides, and then the only way to get the pair right is to copy, piece by piece.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.insertion import insert_entity
from dragoman_models.translation.lexicon import Lexicon

_NAME = re.compile(r"\b[A-ZÀ-Þ][a-zß-ÿ]{2,}\b")
_WORD = re.compile(r"\b\w+\b")
_NUMBER = re.compile(r"(?<![\w.,:])\d{2,}(?![\w]|[.,:]\d)")
_VOWELS = frozenset("AEIOUYÀÂÄÈÉÊËÎÏÔÖÛÜH")
# Spelled alike in several of our languages, but words rather than names.
_NOT_NAMES = frozenset(
    ("April", "August", "September", "November", "December", "Mai", "Juni", "Juli", "Oktober",
     "Dezember", "Ski", "Hotel", "Radio", "Internet", "Computer", "Pizza", "Restaurant", "Taxi",
     "Bus", "Park", "Arm", "Hand", "Name", "Wind", "Winter", "Gold", "Museum")
)  # fmt: skip
_NAME_OR_NUMBER = re.compile(f"{_NAME.pattern}|{_NUMBER.pattern}")
_BOUNDARY = "$"
_ORDER = 2
_ATTEMPTS = 1000
_RARE_SHARE = 0.3  # of the names drawn knowing only the letter before: spellings of far away


class NameInventor:
    """Letters drawn given the two before them, or the one: names like those of the corpus."""

    def __init__(self, names: Iterable[str], *, forbidden: Iterable[str] = ()) -> None:
        """Args: forbidden: names never to invent, such as those a probe set asks for."""
        self._followers: dict[str, list[str]] = defaultdict(list)
        for name in names:
            padded = _BOUNDARY * _ORDER + name + _BOUNDARY
            for end in range(_ORDER, len(padded)):
                for order in range(1, _ORDER + 1):
                    self._followers[padded[end - order : end]].append(padded[end])
        self._forbidden = frozenset(forbidden)

    def invent(self, chance: random.Random) -> str | None:
        """A name of 3 to 12 letters, drawn letter by letter; None if it never comes to one."""
        for _ in range(_ATTEMPTS):
            order = 1 if chance.random() < _RARE_SHARE else _ORDER
            name, context = "", _BOUNDARY * order
            while len(name) <= 12:
                letter = chance.choice(self._followers[context])
                if letter == _BOUNDARY:
                    break
                name, context = name + letter, (context + letter)[1:]
            if 3 <= len(name) <= 12 and name not in self._forbidden:
                return name
        return None


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """Draws substituted copies of training pairs. Build it with ``learn_substitution``."""

    names: frozenset[str]
    inventor: NameInventor = field(repr=False)
    rate: float
    lexicon: Lexicon | None = None

    def apply(self, pair: SentencePair, chance: random.Random) -> SentencePair:
        """The pair with its months, weekdays and countries exchanged, which are few; and with
        probability ``rate`` its shared names and numbers; one without may get one (``insertion``).
        """
        if self.rate and self.lexicon is not None:
            pair = self.lexicon.exchange(pair, chance) or pair
        if chance.random() >= self.rate:
            return pair
        replacements = {
            name: self._new_name(name, chance)
            for name in _shared(_NAME, pair)
            if name in self.names
        }
        replacements.update(
            (number, _new_number(number, chance)) for number in _shared(_NUMBER, pair)
        )
        if replacements:
            return SentencePair(*(_replace(side, replacements) for side in pair))
        name = self.inventor.invent(chance)
        inserted = None if name is None else insert_entity(pair, name=name, chance=chance)
        return inserted or pair

    def _new_name(self, name: str, chance: random.Random) -> str:
        """An invented name, or ``name`` itself where none fits, as in a corpus of one name."""
        for _ in range(_ATTEMPTS):
            new = self.inventor.invent(chance)
            if new is None:
                break
            # French elides before a vowel (d'Anna, de Tom): keep the kind of first letter.
            if (new[0] in _VOWELS) == (name[0] in _VOWELS):
                return new
        return name


def learn_substitution(
    pairs: Sequence[SentencePair],
    *,
    rate: float,
    forbidden: Iterable[str] = (),
    lexicon: Lexicon | None = None,
) -> Substitution:
    """Finds what counts as a name in this corpus: a capitalized word that stands the same on both
    sides of some pair and that neither language writes in lower case."""
    lowercase = Counter(
        word for pair in pairs for side in pair for word in _WORD.findall(side) if word[0].islower()
    )
    shared = Counter(name for pair in pairs for name in _shared(_NAME, pair))
    names = frozenset(
        name for name in shared if not lowercase[name.lower()] and name not in _NOT_NAMES
    )
    inventor = NameInventor(sorted(names), forbidden=forbidden)
    return Substitution(
        names=names, inventor=inventor, rate=rate if names else 0.0, lexicon=lexicon
    )


def _shared(pattern: re.Pattern[str], pair: SentencePair) -> list[str]:
    """Matches that occur equally often on both sides, in the order of the source."""
    source, target = (Counter(pattern.findall(side)) for side in pair)
    return [match for match, count in source.items() if target[match] == count]


def _new_number(number: str, chance: random.Random) -> str:
    """Of the same number of digits, and a year for a year."""
    if len(number) == 4 and number[:2] in ("18", "19", "20"):
        return str(chance.randint(1800, 2099))
    return str(chance.randint(10 ** (len(number) - 1), 10 ** len(number) - 1))


def _replace(side: str, replacements: dict[str, str]) -> str:
    """Exchanges in one go, so that no replacement is itself replaced, and only what was counted
    as shared: not the 12 of 12,5."""
    return _NAME_OR_NUMBER.sub(lambda match: replacements.get(match.group(), match.group()), side)
