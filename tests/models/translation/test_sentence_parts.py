"""Pairs taken apart, and sources in another case."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.translation.case_noise import change_case
from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.held_out import HeldOut
from dragoman_models.translation.sentence_parts import (
    sentence_parts,
    with_parts,
)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Salut ! Comment ça va ?", "Hi! How are you?",
         [("Salut !", "Hi!"), ("Comment ça va ?", "How are you?")]),
        ("Salut, Tom. Bonjour.", "Hello, Tom. Good morning.",
         [("Salut, Tom.", "Hello, Tom."), ("Bonjour.", "Good morning."), ("Salut.", "Hello.")]),
        ("Oui, je sais.", "Yes, I know.", [("Oui.", "Yes.")]),
        ("Bonjour , comment allez-vous ?", "Hello, how are you?", [("Bonjour.", "Hello.")]),
        ("S'il pleut, je reste.", "If it rains, I stay.", []),  # two words before the comma
        ("Il est là. Tu viens ?", "He is there and you come?", []),  # one sentence on one side
        ("Viens. Tu viens ?", "Will you come? Come.", []),  # they do not ask alike
        ("Non. Viens.", "No. " + "Come with me to the place where we were. " * 1, []),  # too long
    ],
)  # fmt: skip
def test_parts(source: str, target: str, expected: list[tuple[str, str]]) -> None:
    assert list(sentence_parts(SentencePair(source, target.strip()))) == expected


def test_parts_come_once_behind_the_pairs_and_none_is_held_out() -> None:
    pairs = [
        SentencePair("Salut ! Ça va ?", "Hi! All right?"),
        SentencePair("Salut ! Tu viens ?", "Hi! Are you coming?"),
        SentencePair("Ça va ?", "All right?"),
    ]
    parts = with_parts(pairs, HeldOut(["Are you coming?"]))
    assert parts == [*pairs, SentencePair("Salut !", "Hi!")]
    assert with_parts(pairs, HeldOut(["salut", "Tu viens ?"])) == pairs


@given(st.text(), st.integers())
def test_case_is_all_that_changes(text: str, seed: int) -> None:
    changed = change_case(text, random.Random(seed))
    assert changed.upper().lower() == text.upper().lower() or changed in (
        text.lower(), text.upper(),
    )  # fmt: skip


def test_each_kind_of_change_occurs() -> None:
    chance = random.Random(1)
    found = {change_case("Je dis oui.", chance) for _ in range(200)}
    assert found == {"je dis oui.", "JE DIS OUI.", "Je Dis oui.", "Je dis Oui."}
    assert change_case("42 !", chance) == "42 !"
