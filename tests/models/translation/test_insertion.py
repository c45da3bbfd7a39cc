"""Laws of putting names and numbers into pairs: on both sides, in the place of the same thing."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.insertion import insert_entity

NAME = "Zoltan"


def inserted(pair: SentencePair) -> set[SentencePair]:
    """All that comes of a pair over many draws, numbers written as 0."""
    drawn = [insert_entity(pair, name=NAME, chance=random.Random(seed)) for seed in range(60)]
    return {SentencePair(*(re.sub(r"\d+", "0", side) for side in new)) for new in drawn if new}


@pytest.mark.parametrize(
    ("source", "target", "new_source", "new_target"),
    [
        ("Il dort.", "He sleeps.", "Zoltan dort.", "Zoltan sleeps."),
        ("She sleeps.", "Sie schläft.", "Zoltan sleeps.", "Zoltan schläft."),
        ("Viens avec lui !", "Come with him!", "Viens avec Zoltan !", "Come with Zoltan!"),
        ("I did it for her.", "Ich tat es für sie.", "I did it for Zoltan.",
         "Ich tat es für Zoltan."),
        ("Je vis ici.", "I live here.", "Je vis à Zoltan.", "I live in Zoltan."),
        ("I worked there.", "Ich arbeitete dort.", "I worked in Zoltan.",
         "Ich arbeitete in Zoltan."),
        ("J'ai trois chats.", "I have three cats.", "J'ai 0 chats.", "I have 0 cats."),
        ("Ten men died.", "Zehn Männer starben.", "Ten men died, Zoltan.",
         "Zehn Männer starben, Zoltan."),  # capitalized, so it may be a name
        ("Il pleut.", "It rains.", "Il pleut, Zoltan.", "It rains, Zoltan."),
        ("Il faut dormir.", "He must sleep.", "Il faut dormir, Zoltan.",
         "He must sleep, Zoltan."),
        ("Il dort.", "She sleeps.", "Il dort, Zoltan.", "She sleeps, Zoltan."),
        ("Où es-tu ?", "Where are you?", "Où es-tu, Zoltan ?", "Where are you, Zoltan?"),
    ],
)  # fmt: skip
def test_the_same_is_replaced_on_both_sides(
    source: str, target: str, new_source: str, new_target: str
) -> None:
    assert inserted(SentencePair(source, target)) == {SentencePair(new_source, new_target)}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Bonjour", "Hello"),  # no end of a sentence to put a name before
        ("Quoi ?!", "What?!"),
        ("", ""),
        ("Il dit : « Non. »", 'He said, "No."'),
    ],
)
def test_nothing_fits(source: str, target: str) -> None:
    new = inserted(SentencePair(source, target))
    assert all(NAME in side for pair in new for side in pair)
    assert not any(f", {NAME}" in side for pair in new for side in pair)


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 2**32 - 1))
def test_both_sides_get_the_same_or_neither(source: str, target: str, seed: int) -> None:
    """The name or the number, once more than before, whatever the text."""
    pair = SentencePair(source, target)
    new = insert_entity(pair, name=NAME, chance=random.Random(seed))
    if new is not None:
        added = [side.count(NAME) - old.count(NAME) for side, old in zip(new, pair, strict=True)]
        numbers = [re.findall(r"\d{2,5}", side) for side in new]
        assert added == [1, 1] or set(numbers[0]) & set(numbers[1])
