"""Brings back names and numbers that a translation lost, by translating with stand-ins for them.

A small model loses words that it has never seen: it respells them, or drops them. Where a name or
number of the source is missing from the translation, the sentence is translated once more with a
stand-in that training had thousands of times (Tom for Zeynep), which is then exchanged for the word
itself. Placeholders of this kind are as old as Luong et al. 2015, "Addressing the rare word
problem"; a stand-in with a meaning of its own needs no training of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dragoman_models.translation.entities import survives

if TYPE_CHECKING:
    from dragoman_models.translation.corpus import SentencePair

_NAME = re.compile(r"(?<!\w)[^\W\d_a-zß-ÿ][^\W\d_]{2,}(?!\w)")
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"(?<![\w.,:])\d{2,}(?!\w|[.,:]\d)")
_VOWELS = frozenset("AEIOUYÀÂÄÈÉÊËÎÏÔÖÛÜH")  # French elides before them: d'Alice, de Tom
_ELISION = re.compile(r"\b(d|qu|jusqu|lorsqu|puisqu)['\u2019]$", re.IGNORECASE)
_WITHIN_NAMES = (" ", "-")
_BEFORE_PLACES = frozenset(("à", "in", "nach", "at", "near"))
_NUMBERS = {
    "small": ("25", "35", "45", "65"),
    "large": ("300", "500", "200", "400"),
    "year": ("2003", "1998", "1995", "2001"),
}
_YEAR = re.compile(r"(1[0-9]|20)\d\d")
_KEPT = 4  # of each kind of stand-in, and so of entities in a sentence
_LEAST_SHARE = 0.25  # of a place's occurrences that stand behind a preposition of place


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """Names that a corpus has most often, alike on both sides, by how a sentence can use them."""

    names: tuple[str, ...]
    places: tuple[str, ...]

    def as_config(self) -> dict[str, list[str]]:
        """What config.json says of them."""
        return {name: list(getattr(self, name)) for name in ("names", "places")}


def stand_ins_of(config: Mapping[str, Any]) -> StandIns:
    """What ``as_config`` gave. Raises ValueError where something is missing."""
    try:
        kinds = {name: tuple(map(str, config[name])) for name in ("names", "places")}
    except (KeyError, TypeError) as error:
        raise ValueError(f"stand_ins: {error} is missing or no list") from error
    return StandIns(**kinds)


def learn_stand_ins(pairs: Sequence[SentencePair], names: frozenset[str]) -> StandIns:
    """The most frequent of ``names``, counted where they stand alike on both sides of a pair:
    persons begin sentences, places stand behind prepositions of place. None begins with a vowel."""
    everywhere: Counter[str] = Counter()
    beginning: Counter[str] = Counter()
    after_preposition: Counter[str] = Counter()
    for source, target in pairs:
        for match in _NAME.finditer(source):
            if match[0] not in names or not survives(match[0], target):
                continue
            everywhere[match[0]] += 1
            beginning[match[0]] += match.start() == 0
            after_preposition[match[0]] += _word_before(source, match.start()) in _BEFORE_PLACES
    places = [
        name
        for name, count in after_preposition.most_common()
        if count > _LEAST_SHARE * everywhere[name]
    ]
    persons = [name for name, _ in beginning.most_common() if name not in places]
    return StandIns(
        names=tuple(name for name in persons if name[0] not in _VOWELS)[:_KEPT],
        places=tuple(name for name in places if name[0] not in _VOWELS)[:_KEPT],
    )


def known_words(texts: Iterable[str]) -> frozenset[str]:
    """All words in lower case: what a model has seen needs no repair, and a word that begins a
    sentence is no name where it was seen in lower case elsewhere."""
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


@dataclass(frozen=True, kw_only=True)
class MaskedSource:
    """A source with stand-ins, and what each of them stands for."""

    text: str
    entities: Mapping[str, str]  # by stand-in

    def restore(self, translation: str) -> str | None:
        """The translation with the entities back; None unless each stand-in is in it once."""
        for stand_in, entity in self.entities.items():
            pattern = rf"(?<!\w){re.escape(stand_in)}(?!\w)"
            translation, count = re.subn(pattern, lambda _, new=entity: new, translation)  # type: ignore[misc]
            if count != 1:
                return None
        return translation


@dataclass(frozen=True, kw_only=True)
class EntityRepair:
    """Finds what a translation lost, and masks it."""

    stand_ins: StandIns
    known: frozenset[str]  # words of the training text, in lower case

    def lost(self, source: str, translation: str) -> bool:
        """Whether a name that training never saw, or a number, is missing from ``translation``."""
        return any(not survives(match[0], translation) for match in self._entities(source))

    def mask(self, source: str) -> MaskedSource | None:
        """The source with a stand-in for each entity; None where there are none or too many."""
        names = self.stand_ins.as_config()
        free = {kind: iter(words) for kind, words in (*names.items(), *_NUMBERS.items())}
        entities: dict[str, str] = {}
        text, end = "", 0
        for start, stop in self._spans(source):
            entity = source[start:stop]
            choices = free[self._kind(source, start, entity)]
            stand_in = next((one for one in choices if one not in source), None)
            if stand_in is None or entity in entities.values():
                return None
            entities[stand_in] = entity
            before = _ELISION.sub(r"\1e ", source[end:start])
            text, end = f"{text}{before}{stand_in}", stop
        return MaskedSource(text=text + source[end:], entities=entities) if entities else None

    def _entities(self, source: str) -> list[re.Match[str]]:
        names = (match for match in _NAME.finditer(source) if match[0].lower() not in self.known)
        return sorted([*names, *_NUMBER.finditer(source)], key=lambda match: match.start())

    def _spans(self, source: str) -> list[tuple[int, int]]:
        """Where the entities stand; names side by side, first and last name, are one."""
        spans: list[tuple[int, int]] = []
        for match in self._entities(source):
            start, stop = match.span()
            named = spans and not (match[0].isdigit() or source[spans[-1][0]].isdigit())
            if named and source[spans[-1][1] : start] in _WITHIN_NAMES:
                start = spans.pop()[0]
            spans.append((start, stop))
        return spans

    def _kind(self, source: str, start: int, entity: str) -> str:
        if entity.isdigit():
            large = "large" if len(entity) > 2 else "small"
            return "year" if _YEAR.fullmatch(entity) else large
        if _word_before(source, start) in _BEFORE_PLACES:
            return "places"
        return "names"


def _word_before(text: str, start: int) -> str:
    words = text[:start].split()
    return words[-1].lower() if words else ""
