"""Searches under banned and required phrases against brute force over all sequences."""

import itertools
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.models.search.random_model import RecurrentModel

from dragoman_models.search.banned_phrases import BannedPhrases
from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.phrase_automaton import Phrase, phrase_of
from dragoman_models.search.required_phrases import RequiredPhrases
from dragoman_models.search.token_bytes import TokenBytes
from dragoman_models.search.token_rules import (
    BannedTokens,
    ForcedPrefixes,
    NoRepeatedNgrams,
    TokenRule,
)

EOS, BOS = 0, 1
SPELLED = ["", "", " a", " b", "a", ".", " a b", " ", "b"]
WORDS = range(2, len(SPELLED))
VOCABULARY = TokenBytes([one.encode() for one in SPELLED])
PHRASES = {  # the division of each that a tokenizer would choose
    "a": (2,), "b": (3,), "a b": (6,), "b a": (3, 2), "aa": (2, 4), "a.": (2, 5), ".": (7, 5),
    "b a b": (3, 6), ". b": (7, 5, 3), "a a": (2, 2),
}  # fmt: skip
LONGEST = 3
WIDE = 1000  # more than there are sequences
Sequences = list[tuple[int, ...]]
some_phrases = st.lists(st.sampled_from(sorted(PHRASES)), min_size=1, max_size=3)


def phrases_of(texts: Sequence[str]) -> list[Phrase]:
    return [phrase_of(PHRASES[text], VOCABULARY) for text in texts]


def text_of(tokens: Sequence[int]) -> str:
    return "".join(SPELLED[token] for token in tokens)


def holds(tokens: Sequence[int], phrase: str, *, blanks: str = " ") -> bool:
    """Whether the text holds the phrase as whole words; ``blanks``: what stands between them."""
    before = r"(?<!\w)" if phrase[0].isalnum() else ""
    behind = r"(?!\w)" if phrase[-1].isalnum() else ""
    inside = re.escape(phrase).replace(r"\ ", blanks)
    return re.search(f"{before}{inside}{behind}", text_of(tokens)) is not None


def holds_banned(tokens: Sequence[int], banned: Sequence[str]) -> bool:
    """A ban is not got round by a blank more."""
    return any(holds(tokens, one, blanks=" +") for one in banned)


def search(
    seed: int,
    *,
    required: Sequence[Sequence[str]] = (),
    banned: Sequence[Sequence[str]] = (),
    width: int = WIDE,
    max_lengths: Sequence[int] = (LONGEST,),
    rules: Sequence[TokenRule] = (),
    prefix: Sequence[int] = (),
    diversity: DiverseBeams | None = None,
) -> list[list[FoundSequence]]:
    count = len(max_lengths)
    model = RecurrentModel(seed, vocabulary=len(SPELLED), sentences=count)
    options = SearchOptions(
        beam_width=width, bos=BOS, eos=EOS, n_best=width, diversity=diversity,
        rules=(BannedTokens(banned=(BOS,)), *rules),
        prefixes=ForcedPrefixes(prefixes=[prefix] * count) if prefix else None,
        banned_phrases=BannedPhrases(
            phrases=[phrases_of(one) for one in banned], vocabulary=VOCABULARY, eos=EOS,
            max_lengths=max_lengths,
        ) if banned else None,
        required_phrases=RequiredPhrases(
            phrases=[phrases_of(one) for one in required], vocabulary=VOCABULARY, eos=EOS,
        ) if required else None,
    )  # fmt: skip
    return beam_search(model, model.state(), max_lengths=max_lengths, options=options)


def log_prob(seed: int, tokens: tuple[int, ...], *, sentences: int = 1, sentence: int = 0) -> float:
    model = RecurrentModel(seed, vocabulary=len(SPELLED), sentences=sentences)
    total, hidden, previous = 0.0, model.first[sentence], BOS
    for token in (*tokens, EOS):
        hidden, log_probs = model.after(sentence, previous, hidden)
        total, previous = total + float(log_probs[token]), token
    return total


def check_exactly(
    found: list[FoundSequence], keeps: Callable[[tuple[int, ...]], bool], seed: int
) -> None:
    """Each sequence that keeps the law was found, once, with its probability under the model."""
    expected = [
        tokens
        for length in range(LONGEST + 1)
        for tokens in itertools.product(WORDS, repeat=length)
        if keeps(tokens)
    ]
    assert sorted(one.tokens for one in found) == sorted(expected)
    for one in found:
        assert one.log_prob == pytest.approx(log_prob(seed, one.tokens), abs=1e-9)


@settings(max_examples=12)
@given(st.integers(0, 999), some_phrases)
def test_with_width_enough_all_texts_without_banned_phrases_are_found(
    seed: int, banned: list[str]
) -> None:
    (found,) = search(seed, banned=[banned])
    check_exactly(found, lambda tokens: not holds_banned(tokens, banned), seed)


@settings(max_examples=12)
@given(st.integers(0, 999), some_phrases)
def test_with_width_enough_all_texts_with_the_required_phrases_are_found(
    seed: int, required: list[str]
) -> None:
    (found,) = search(seed, required=[required])
    check_exactly(found, lambda tokens: all(holds(tokens, one) for one in required), seed)


@settings(max_examples=12)
@given(st.integers(0, 999), some_phrases, some_phrases)
def test_with_width_enough_both_kinds_of_phrases_hold_together(
    seed: int, required: list[str], banned: list[str]
) -> None:
    def keeps(tokens: tuple[int, ...]) -> bool:
        required_hold = all(holds(tokens, one) for one in required)
        return required_hold and not holds_banned(tokens, banned)

    (found,) = search(seed, required=[required], banned=[banned])
    check_exactly(found, keeps, seed)


def tokens_needed(required: Sequence[str]) -> int:
    """What suffices to write one phrase after the other, each by its own tokens."""
    return sum(len(PHRASES[one]) for one in set(required))


@settings(max_examples=40)
@given(st.integers(0, 9999), some_phrases, st.integers(1, 7), st.integers(0, 4))
def test_a_narrow_beam_meets_all_phrases_wherever_they_have_room(
    seed: int, required: list[str], width: int, more: int
) -> None:
    longest = tokens_needed(required) + more
    (found,) = search(seed, required=[required], width=width, max_lengths=[longest])
    assert found
    assert all(holds(one.tokens, phrase) for one in found for phrase in required)
    assert all(len(one.tokens) <= longest for one in found)


@settings(max_examples=40)
@given(st.integers(0, 9999), some_phrases, st.integers(1, 7), st.integers(1, 9))
def test_a_narrow_beam_writes_no_banned_phrase_and_ends_all_the_same(
    seed: int, banned: list[str], width: int, longest: int
) -> None:
    assume(not {"a", "b", "."} <= set(banned))  # which leaves but the empty text and a-words
    (found,) = search(seed, banned=[banned], width=width, max_lengths=[longest])
    assert found
    assert not any(holds_banned(one.tokens, banned) for one in found)


@settings(max_examples=40)
@given(st.integers(0, 9999), some_phrases, st.integers(1, 7), st.integers(1, 3))
def test_required_phrases_go_before_repeated_ngrams(
    seed: int, required: list[str], width: int, size: int
) -> None:
    (found,) = search(
        seed, required=[required], width=width, max_lengths=[tokens_needed(required) + 3],
        rules=[NoRepeatedNgrams(size=size)],
    )  # fmt: skip
    assert found
    assert all(holds(one.tokens, phrase) for one in found for phrase in required)


@settings(max_examples=40)
@given(st.integers(0, 9999), some_phrases, st.lists(st.sampled_from(WORDS), max_size=4))
def test_a_prefix_goes_before_phrases_and_counts_for_them(
    seed: int, phrases: list[str], prefix: list[int]
) -> None:
    longest = len(prefix) + tokens_needed(phrases)
    (found,) = search(seed, required=[phrases], width=3, max_lengths=[longest], prefix=prefix)
    assert found
    assert all(list(one.tokens[: len(prefix)]) == prefix for one in found)
    assert all(holds(one.tokens, phrase) for one in found for phrase in phrases)


def test_a_banned_phrase_in_the_prefix_is_not_written_again() -> None:
    (found,) = search(3, banned=[["b"]], width=4, max_lengths=[8], prefix=[3, 2])
    assert found
    for one in found:
        assert one.tokens[:2] == (3, 2)
        assert not holds(one.tokens[2:], "b")


@pytest.mark.parametrize("width", [1, 3, 50])
def test_phrases_that_cannot_be_met_leave_nothing(width: int) -> None:
    """Too short a limit; and a phrase that holds what is banned."""
    assert search(0, required=[["b a b"]], width=width, max_lengths=[1]) == [[]]
    assert search(0, required=[["a b"]], banned=[["b"]], width=width, max_lengths=[5]) == [[]]


@given(st.integers(0, 999), st.integers(1, 6), st.booleans())
def test_a_batch_may_mix_sentences_with_and_without_phrases(
    seed: int, width: int, required: bool
) -> None:
    """Each is searched as it is alone with the same model, whose bias tells sentences apart."""
    lists: list[list[str]] = [[], ["a b", "b"], ["a."], []]
    lengths = [4, 6, 3, 5]
    together = search(
        seed, width=width, max_lengths=lengths, required=lists if required else (),
        banned=() if required else lists,
    )  # fmt: skip
    plain = search(seed, width=width, max_lengths=lengths)
    for i in (0, 3):
        assert [one.tokens for one in together[i]] == [one.tokens for one in plain[i]]
    for i in (1, 2):
        for one in together[i]:
            assert all(holds(one.tokens, phrase) == required for phrase in lists[i])
            expected = log_prob(seed, one.tokens, sentences=4, sentence=i)
            assert one.log_prob == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 9999), some_phrases)
def test_phrases_hold_in_each_group_of_diverse_beams(seed: int, phrases: list[str]) -> None:
    diversity = DiverseBeams(groups=3, strength=2.0)
    longest = tokens_needed(phrases) + 2
    (found,) = search(seed, required=[phrases], width=6, max_lengths=[longest], diversity=diversity)
    assert {one.group for one in found} == {0, 1, 2}
    assert all(holds(one.tokens, phrase) for one in found for phrase in phrases)
