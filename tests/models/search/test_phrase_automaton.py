"""The automaton against regular expressions over the text that tokens write."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.search.phrase_automaton import Phrase, PhraseAutomaton, phrase_of
from dragoman_models.search.token_bytes import TokenBytes, is_word_character

ALPHABET = "ab1_ .-é日🙂\u0301"
SPELLED = ["", *ALPHABET, "ab", " a", "b ", "a b", " .", "éa", "aé", ". b", "日a"]
VOCABULARY = TokenBytes([one.encode() for one in SPELLED])


def phrase(text: str) -> Phrase:
    """Without a division into tokens, which only what is required needs."""
    return Phrase(text.encode(), is_word_character(text[0]), is_word_character(text[-1]), ())


def holds(text: str, wanted: str, *, strict: bool) -> bool:
    """Whether ``wanted`` stands in ``text`` as whole words; ``strict`` with blanks doubled, too."""
    word = r"[ab1_é\u0301]"  # the Han character and the picture are none
    before = f"(?<!{word})" if is_word_character(wanted[0]) else ""
    behind = f"(?!{word})" if is_word_character(wanted[-1]) else ""
    inside = re.escape(wanted).replace(r"\ ", " +" if strict else " ")
    return re.search(f"{before}{inside}{behind}", text) is not None


phrases = st.text(ALPHABET, min_size=1, max_size=4).filter(lambda text: text == text.strip())
written = st.lists(st.integers(0, len(SPELLED) - 1), max_size=9)


@given(st.lists(phrases, max_size=4), written, st.booleans())
def test_phrases_are_seen_where_they_stand_as_whole_words(
    wanted: list[str], tokens: list[int], strict: bool
) -> None:
    automaton = PhraseAutomaton([[phrase(one) for one in wanted]], VOCABULARY, strict=strict)
    states, seen = np.array(automaton.starts), False
    for token in tokens:
        states, accepted = automaton.advance(states, np.array([token]))
        seen |= bool(accepted[0])
    text = "".join(SPELLED[token] for token in tokens)
    expected = any(holds(text, one, strict=strict) for one in wanted)
    assert (seen or bool(automaton.ends[states][0])) == expected


@given(st.lists(st.lists(phrases, max_size=3), min_size=1, max_size=4), st.data())
def test_many_texts_advance_as_each_does_alone(sets: list[list[str]], data: st.DataObject) -> None:
    asked = [[phrase(one) for one in texts] for texts in sets]
    together = PhraseAutomaton(asked, VOCABULARY, strict=True)
    states = np.array(together.starts)
    alone = [PhraseAutomaton([one], VOCABULARY, strict=True) for one in asked]
    own = [np.array(one.starts) for one in alone]
    for _ in range(5):
        tokens = data.draw(
            st.lists(st.integers(0, len(SPELLED) - 1), min_size=len(sets), max_size=len(sets))
        )
        states, seen = together.advance(states, np.array(tokens))
        for i, one in enumerate(alone):
            own[i], accepted = one.advance(own[i], np.array([tokens[i]]))
            assert accepted[0] == seen[i]
            assert one.ends[own[i]][0] == together.ends[states[i]]


@given(st.lists(phrases, max_size=3), written, st.booleans())
def test_completing_tokens_are_those_behind_which_a_phrase_stands(
    wanted: list[str], tokens: list[int], at_end: bool
) -> None:
    automaton = PhraseAutomaton([[phrase(one) for one in wanted]], VOCABULARY, strict=True)
    states = np.array(automaton.starts)
    for token in tokens:
        states, _ = automaton.advance(states, np.array([token]))
    (row,) = automaton.completing(states, at_end=at_end)
    for token, found in enumerate(row):
        reached, seen = automaton.advance(states, np.array([token]))
        assert found == (seen[0] or (at_end and automaton.ends[reached][0]))


@pytest.mark.parametrize("strict", [False, True])
def test_characters_spelled_byte_by_byte_are_read(strict: bool) -> None:
    """Phrases are found in them; as a neighbour one may belong to a word or not."""
    vocabulary = TokenBytes([bytes([byte]) for byte in range(256)])

    def found(text: str, wanted: str) -> bool:
        automaton = PhraseAutomaton([[phrase(wanted)]], vocabulary, strict=strict)
        states, seen = np.array(automaton.starts), False
        for byte in text.encode():
            states, accepted = automaton.advance(states, np.array([byte]))
            seen |= bool(accepted[0])
        return seen or bool(automaton.ends[states][0])

    assert found("der Käse", "Käse")
    assert found("日本語", "日本")
    assert not found("Kas", "Ka")
    assert found("a\u2014b", "a") == strict  # a dash
    assert found("aé", "a") == strict
    assert found("a  b", "a b") == strict


def test_a_phrase_of_tokens_is_without_the_blank_before_it() -> None:
    vocabulary = TokenBytes([b"", b" ", b"a", b" a", b"b.", b"\xc3", b"\xa9"])
    assert phrase_of([3, 4], vocabulary) == Phrase(b"ab.", True, False, (3, 4))
    assert phrase_of([1, 5, 6], vocabulary) == Phrase("é".encode(), True, True, (1, 5, 6))
