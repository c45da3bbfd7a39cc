"""Months, weekdays and countries are exchanged on both sides alike, or the pair stays."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.lexicon import Lexicon

MONTHS = {"septembre": "September", "janvier": "January", "août": "August", "juin": "June"}


def outcomes(pair: SentencePair, languages: tuple[str, str] = ("fr", "en")) -> set[SentencePair]:
    """All that a pair may become."""
    lexicon, chance = Lexicon(languages=languages), random.Random(1)
    found = (lexicon.exchange(pair, chance) for _ in range(300))
    return {one for one in found if one is not None}


def test_a_month_becomes_the_same_other_month_on_both_sides() -> None:
    found = outcomes(SentencePair("Je pars en juin.", "I leave in June."))
    assert len(found) == 10
    for source, target in found:
        month = source.removeprefix("Je pars en ").removesuffix(".")
        if month in MONTHS:
            assert target == f"I leave in {MONTHS[month]}."


def test_countries_keep_what_french_puts_before_them() -> None:
    sources = {one.source for one in outcomes(SentencePair("J'aime l'Italie.", "I like Italy."))}
    assert "J'aime l'Afrique." in sources
    assert not any("France" in source or "Japon" in source for source in sources)


def test_german_has_its_own_words() -> None:
    found = outcomes(SentencePair("It is Monday.", "Es ist Montag."), ("en", "de"))
    assert SentencePair("It is Friday.", "Es ist Freitag.") in found


def test_a_time_at_the_end_may_become_a_month() -> None:
    found = outcomes(SentencePair("Elle part demain.", "She leaves tomorrow."))
    assert SentencePair("Elle part en septembre.", "She leaves in September.") in found


@pytest.mark.parametrize(
    "pair",
    [
        ("Il fait froid.", "It is cold."),
        ("De juin à juillet.", "From June to July."),  # two of them
        ("Je pars en juin.", "I leave in July."),  # not the same
        ("Rends-le avant demain.", "Return it by tomorrow."),  # a preposition stands before it
        ("Demain, je pars.", "I leave tomorrow."),  # not at both ends
        ("", ""),
    ],
)
def test_other_pairs_stay(pair: tuple[str, str]) -> None:
    assert outcomes(SentencePair(*pair)) == set()


def test_other_languages_stay() -> None:
    assert outcomes(SentencePair("Je pars en juin.", "Parto a giugno."), ("fr", "it")) == set()


@given(source=st.text(max_size=40), target=st.text(max_size=40), seed=st.integers(0, 9))
def test_any_text_is_taken(source: str, target: str, seed: int) -> None:
    lexicon = Lexicon(languages=("fr", "en"))
    exchanged = lexicon.exchange(SentencePair(source, target), random.Random(seed))
    assert exchanged is None or all(isinstance(side, str) for side in exchanged)
