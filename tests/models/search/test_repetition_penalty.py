"""The repetition penalty against its formula and a search written out."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.search.random_model import Floats, RecurrentModel

from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.repetition_penalty import RepetitionPenalty

VOCABULARY, EOS, BOS, LONGEST = 4, 0, 1, 4


def search(seed: int, width: int, factor: float | None) -> list[FoundSequence]:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    options = SearchOptions(
        beam_width=width, bos=BOS, eos=EOS, n_best=width,
        normalization=LengthNormalization.AVERAGE,
        repetition=None if factor is None else RepetitionPenalty(factor=factor),
    )  # fmt: skip
    (found,) = beam_search(model, model.state(), max_lengths=[LONGEST], options=options)
    return found


def log_probs_of(seed: int, tokens: tuple[int, ...]) -> list[float]:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    found, hidden, previous = [], model.first[0], BOS
    for token in (*tokens, EOS):
        hidden, log_probs = model.after(0, previous, hidden)
        found.append(float(log_probs[token]))
        previous = token
    return found


def repeated(tokens: tuple[int, ...]) -> int:
    return len(tokens) - len(set(tokens))


@settings(max_examples=10)
@given(st.integers(0, 999), st.floats(1, 100))
def test_the_score_is_the_formula_and_the_log_probabilities_are_the_models(
    seed: int, factor: float
) -> None:
    found = search(seed, 1000, factor)
    every = (
        tokens
        for length in range(LONGEST + 1)
        for tokens in itertools.product(range(1, VOCABULARY), repeat=length)
    )
    assert sorted(one.tokens for one in found) == sorted(every)
    for one in found:
        expected = log_probs_of(seed, one.tokens)
        assert one.token_log_probs == pytest.approx(expected, abs=1e-9)
        assert one.log_prob == pytest.approx(sum(expected), abs=1e-9)
        penalized = sum(expected) - math.log(factor) * repeated(one.tokens)
        assert one.score == pytest.approx(penalized / len(expected), abs=1e-9)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@settings(max_examples=30)
@given(st.integers(0, 9999), st.integers(1, 4), st.floats(1, 100))
def test_the_search_keeps_what_is_best_under_the_penalty(
    seed: int, width: int, factor: float
) -> None:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    live: list[tuple[float, tuple[int, ...], Floats]] = [(0.0, (), model.first[0])]
    ended = []
    for length in range(LONGEST + 1):
        grown = []
        for value, tokens, hidden in live:
            hidden, log_probs = model.after(0, tokens[-1] if tokens else BOS, hidden)
            for token in range(VOCABULARY):
                if token == EOS or length < LONGEST:
                    cost = math.log(factor) if token in tokens else 0.0
                    grown.append((value + float(log_probs[token]) - cost, (*tokens, token), hidden))
        grown = sorted(grown, key=lambda one: one[0], reverse=True)[:width]
        ended += [
            (value / len(tokens), tokens[:-1]) for value, tokens, _ in grown if tokens[-1] == EOS
        ]
        live = [one for one in grown if one[1][-1] != EOS]
    best = max(ended)
    assert search(seed, width, factor)[0].tokens == best[1]


@given(st.integers(0, 999), st.integers(1, 4))
def test_a_factor_of_one_changes_nothing(seed: int, width: int) -> None:
    assert search(seed, width, 1.0) == search(seed, width, None)
