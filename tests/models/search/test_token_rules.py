"""Searches under rules against brute force: every sequence that keeps the rule, and no other."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.search.random_model import RecurrentModel

from dragoman_models.arrays import Floats, Integers
from dragoman_models.search.beam_search import (
    EarlyStopping,
    FoundSequence,
    SearchOptions,
    beam_search,
)
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.token_rules import (
    BannedTokens,
    ForcedPrefixes,
    MinimumLengths,
    NoRepeatedNgrams,
    TokenRule,
)

VOCABULARY, EOS, BOS, LONGEST = 4, 0, 1, 4
WORDS = range(1, VOCABULARY)
WIDE = VOCABULARY ** (LONGEST + 1)
Sequences = list[tuple[int, ...]]


def search(
    seed: int, rules: Sequence[TokenRule] = (), *, prefix: Sequence[int] = (), width: int = WIDE
) -> list[FoundSequence]:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    options = SearchOptions(
        beam_width=width, bos=BOS, eos=EOS, rules=tuple(rules), n_best=WIDE,
        prefixes=ForcedPrefixes(prefixes=[prefix]) if prefix else None,
    )  # fmt: skip
    (found,) = beam_search(model, model.state(), max_lengths=[LONGEST], options=options)
    return found


def all_sequences(keeps: Callable[[tuple[int, ...]], bool]) -> Sequences:
    return [
        tokens
        for length in range(LONGEST + 1)
        for tokens in itertools.product(WORDS, repeat=length)
        if keeps(tokens)
    ]


def log_prob(seed: int, tokens: tuple[int, ...]) -> float:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    total, hidden, previous = 0.0, model.first[0], BOS
    for token in (*tokens, EOS):
        hidden, log_probs = model.after(0, previous, hidden)
        total, previous = total + float(log_probs[token]), token
    return total


def check_exactly(found: list[FoundSequence], expected: Sequences, seed: int) -> None:
    """Each allowed sequence was found, and with its probability under the model alone."""
    assert sorted(one.tokens for one in found) == sorted(expected)
    for one in found:
        assert one.log_prob == pytest.approx(log_prob(seed, one.tokens), abs=1e-9)


def ngrams(tokens: tuple[int, ...], size: int) -> Sequences:
    return [tokens[i : i + size] for i in range(len(tokens) - size + 1)]


@given(seed=st.integers(0, 999), minimum=st.integers(0, LONGEST))
def test_no_hypothesis_is_shorter_than_the_minimum(seed: int, minimum: int) -> None:
    found = search(seed, [MinimumLengths(minimums=[minimum], eos=EOS)])
    check_exactly(found, all_sequences(lambda tokens: len(tokens) >= minimum), seed)


@given(seed=st.integers(0, 999), size=st.integers(1, 4))
def test_no_ngram_occurs_twice(seed: int, size: int) -> None:
    found = search(seed, [NoRepeatedNgrams(size=size)])
    distinct = all_sequences(
        lambda tokens: len(set(ngrams(tokens, size))) == len(ngrams(tokens, size))
    )
    check_exactly(found, distinct, seed)


@given(seed=st.integers(0, 999), prefix=st.lists(st.sampled_from(WORDS), max_size=LONGEST))
def test_every_hypothesis_begins_with_the_prefix(seed: int, prefix: list[int]) -> None:
    found = search(seed, prefix=prefix)
    begun = all_sequences(lambda tokens: list(tokens[: len(prefix)]) == prefix)
    check_exactly(found, begun, seed)


def test_a_prefix_goes_before_every_rule() -> None:
    rules: list[TokenRule] = [BannedTokens(banned=(2,)), NoRepeatedNgrams(size=1)]
    found = search(0, rules, prefix=[2, 2])
    assert found
    assert all(one.tokens[:2] == (2, 2) and 2 not in one.tokens[2:] for one in found)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_hypothesis_without_a_way_on_ends(width: int) -> None:
    """Words run out after three, and eos is forbidden before four: the end comes all the same."""
    rules: list[TokenRule] = [NoRepeatedNgrams(size=1), MinimumLengths(minimums=[4], eos=EOS)]
    found = search(0, rules, width=width)
    assert found
    assert all(sorted(one.tokens) == list(WORDS) for one in found)


class Reader:
    """Each of its two texts is as probable; the one of token 1 reads the first position alone."""

    def step(self, previous: Integers, state: Floats) -> tuple[Floats, Floats, Floats]:
        ended = (previous != 3)[:, None]
        end, words = np.array([[0, -99, -99, -99], [-99, 0, 0, -99]], np.float32)
        even, alone = np.array([[0.25, 0.75, 0], [1, 0, 0]], np.float32)
        return np.where(ended, end, words), state, np.where((previous == 1)[:, None], alone, even)

    def select(self, state: Floats, sentences: Integers | None, rows: Integers) -> Floats:
        return state[rows]


def test_coverage_is_equation_14_of_wu_and_leaves_padding_out() -> None:
    def scores(beta: float) -> dict[tuple[int, ...], float]:
        options = SearchOptions(
            beam_width=4, bos=3, eos=0, n_best=2,
            coverage=CoveragePenalty(beta=beta, source_lengths=[2]),
        )  # fmt: skip
        (found,) = beam_search(Reader(), np.zeros(1, np.float32), max_lengths=[5], options=options)
        return {one.tokens: one.score for one in found}

    plain, penalized = scores(0.0), scores(0.5)
    assert plain[(1,)] == pytest.approx(plain[(2,)])
    # 1 reads (.25, .75) and then (1, 0); 2 reads (.25, .75) twice.
    expected = {(1,): np.log(1.0) + np.log(0.75), (2,): np.log(0.5) + np.log(1.0)}
    for tokens, coverage in expected.items():
        assert penalized[tokens] == pytest.approx(plain[tokens] + 0.5 * coverage, abs=1e-6)


@given(seed=st.integers(0, 999), width=st.integers(1, 4))
def test_early_stopping_ends_sooner_or_later(seed: int, width: int) -> None:
    found, steps = {}, {}
    for when in EarlyStopping:
        model = RecurrentModel(seed, vocabulary=5, sentences=1)
        options = SearchOptions(beam_width=width, bos=BOS, eos=EOS, early_stopping=when)
        (found[when],) = beam_search(model, model.state(), max_lengths=[9], options=options)
        steps[when] = len(model.rows)
    never, exact = EarlyStopping.NEVER, EarlyStopping.NO_BETTER_POSSIBLE
    assert steps[exact] <= steps[never]
    assert steps[EarlyStopping.BEAM_FINISHED] <= steps[never]
    assert found[exact][0] == found[never][0]
    finished = found[EarlyStopping.BEAM_FINISHED]
    assert len(finished) >= width or steps[EarlyStopping.BEAM_FINISHED] == steps[never]
