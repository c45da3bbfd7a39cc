"""Months, weekdays and countries in several languages, to exchange them in training pairs.

A small corpus has some months a hundred times and others a dozen times; exchanged within their
class, each is seen wherever any of them stands. Countries are divided by what French puts before
them (l'Afrique, la France, le Japon), so that a pair stays grammatical.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dragoman_models.translation.corpus import SentencePair

Entry = Mapping[str, str]  # by language


def _entries(languages: str, *rows: str) -> tuple[Entry, ...]:
    names = languages.split()
    return tuple(dict(zip(names, row.split(), strict=True)) for row in rows)


_MONTHS = _entries(
    "en fr de", "January janvier Januar", "February février Februar", "April avril April",
    "June juin Juni", "July juillet Juli", "August août August", "September septembre September",
    "October octobre Oktober", "November novembre November", "December décembre Dezember",
)  # fmt: skip
_WEEKDAYS = _entries(
    "en fr de", "Monday lundi Montag", "Tuesday mardi Dienstag", "Wednesday mercredi Mittwoch",
    "Thursday jeudi Donnerstag", "Friday vendredi Freitag", "Saturday samedi Samstag",
    "Sunday dimanche Sonntag",
)  # fmt: skip
_COUNTRIES_WITH_VOWEL = _entries(
    "en fr de", "Africa Afrique Afrika", "Asia Asie Asien", "Europe Europe Europa",
    "America Amérique Amerika", "Australia Australie Australien", "Italy Italie Italien",
    "Spain Espagne Spanien", "Germany Allemagne Deutschland", "England Angleterre England",
    "India Inde Indien", "Ireland Irlande Irland", "Austria Autriche Österreich",
)  # fmt: skip
_COUNTRIES_WITH_LA = _entries(
    "en fr de", "France France Frankreich", "China Chine China", "Russia Russie Russland",
    "Greece Grèce Griechenland", "Poland Pologne Polen", "Sweden Suède Schweden",
    "Norway Norvège Norwegen", "Belgium Belgique Belgien", "Hungary Hongrie Ungarn",
)  # fmt: skip
_COUNTRIES_WITH_LE = _entries(
    "en fr de", "Japan Japon Japan", "Canada Canada Kanada", "Brazil Brésil Brasilien",
    "Mexico Mexique Mexiko", "Portugal Portugal Portugal", "Denmark Danemark Dänemark",
    "Vietnam Vietnam Vietnam", "Morocco Maroc Marokko",
)  # fmt: skip
_CLASSES = (
    _MONTHS, _WEEKDAYS, _COUNTRIES_WITH_VOWEL, _COUNTRIES_WITH_LA, _COUNTRIES_WITH_LE,
)  # fmt: skip
_TIMES = tuple(
    dict(zip(("en", "fr", "de"), words, strict=True))
    for words in (
        ("tomorrow", "demain", "morgen"), ("today", "aujourd'hui", "heute"),
        ("yesterday", "hier", "gestern"), ("last year", "l'année dernière", "letztes Jahr"),
        ("next year", "l'année prochaine", "nächstes Jahr"),
        ("next week", "la semaine prochaine", "nächste Woche"),
        ("last week", "la semaine dernière", "letzte Woche"),
    )
)  # fmt: skip
_PLACES = ({"en": "here", "fr": "ici", "de": "hier"}, {"en": "there", "fr": "là-bas", "de": "dort"})
_IN_A_MONTH = {"en": "in", "fr": "en", "de": "im"}
_IN_A_COUNTRY = {"en": "in", "fr": "en", "de": "in"}
# At the end of a sentence: words in place of others, and a share, so that both stay common.
_PHRASES = (
    (_TIMES, _IN_A_MONTH, _MONTHS, 0.4),
    (_PLACES, _IN_A_COUNTRY, _COUNTRIES_WITH_VOWEL + _COUNTRIES_WITH_LA, 0.2),
)
_PREPOSITIONS = frozenset(
    ("by", "for", "until", "till", "of", "from", "since", "than", "in", "pour", "avant", "de", "à",
     "depuis", "que", "d", "jusqu", "par", "für", "bis", "von", "seit", "als", "über", "ab")
)  # fmt: skip
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The classes as two languages have them; nothing is exchanged in other languages."""

    languages: tuple[str, str]

    def exchange(self, pair: SentencePair, chance: random.Random) -> SentencePair | None:
        """The pair with another month, weekday or country; None where it holds none, or several."""
        if not all(language in _IN_A_MONTH for language in self.languages):
            return None
        for entries in _CLASSES:
            exchanged = self._within(entries, pair, chance)
            if exchanged is not None:
                return exchanged
        for phrases, preposition, entries, share in _PHRASES:
            for phrase in phrases:
                exchanged = self._phrase(phrase, preposition, chance.choice(entries), pair)
                if exchanged is not None:
                    return exchanged if chance.random() < share else None
        return None

    def _within(
        self, entries: Sequence[Entry], pair: SentencePair, chance: random.Random
    ) -> SentencePair | None:
        found = [self._entry(entries, pair, side) for side in (0, 1)]
        if found[0] is None or found[0] is not found[1]:
            return None
        old, new = found[0], chance.choice(entries)
        return SentencePair(
            *(
                re.sub(rf"\b{old[language]}\b", new[language], text)
                for language, text in zip(self.languages, pair, strict=True)
            )
        )

    def _entry(self, entries: Sequence[Entry], pair: SentencePair, side: int) -> Entry | None:
        """The only entry of the class in one side, and only once."""
        words = _WORD.findall(pair[side])
        language = self.languages[side]
        standing = [entry for entry in entries for word in words if word == entry[language]]
        return standing[0] if len(standing) == 1 else None

    def _phrase(
        self, phrase: Entry, preposition: Entry, new: Entry, pair: SentencePair
    ) -> SentencePair | None:
        """I leave tomorrow. / Je pars demain. -> I leave in May. / Je pars en mai."""
        sides = []
        for language, text in zip(self.languages, pair, strict=True):
            match = re.search(rf"(\w+) {phrase[language]}(?= ?[.!?]$)", text)
            if match is None or match[1] in _PREPOSITIONS:
                return None
            words = f"{match[1]} {preposition[language]} {new[language]}"
            sides.append(text[: match.start()] + words + text[match.end() :])
        return SentencePair(*sides)
