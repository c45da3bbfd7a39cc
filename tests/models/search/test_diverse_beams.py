"""Diverse beams against the paper's algorithm written out, and against plain beam search."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.search.random_model import Floats, RecurrentModel

from dragoman_models.search.beam_search import (
    EarlyStopping,
    FoundSequence,
    SearchOptions,
    beam_search,
)
from dragoman_models.search.diverse_beams import DiverseBeams

VOCABULARY, EOS, BOS = 6, 0, 1
Live = tuple[float, tuple[int, ...], Floats]


def options_of(groups: int, size: int, strength: float) -> SearchOptions:
    return SearchOptions(
        beam_width=groups * size, bos=BOS, eos=EOS, n_best=groups * size,
        diversity=DiverseBeams(groups=groups, strength=strength),
        early_stopping=EarlyStopping.NEVER,
    )  # fmt: skip


def search(seed: int, options: SearchOptions, longest: Sequence[int] = (5,)) -> list[FoundSequence]:
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=len(longest))
    return beam_search(model, model.state(), max_lengths=longest, options=options)[0]


def of_group(found: Sequence[FoundSequence], group: int) -> list[tuple[int, ...]]:
    return sorted(one.tokens for one in found if one.group == group)


def written_out(
    seed: int, longest: int, options: SearchOptions, strength: float, groups: int
) -> list[list[tuple[int, ...]]]:
    """Algorithm 1 of Vijayakumar et al. 2016 with Hamming diversity, for one sentence."""
    model = RecurrentModel(seed, vocabulary=VOCABULARY, sentences=1)
    live: list[list[Live]] = [[(0.0, (), model.first[0])] for _ in range(groups)]
    ended: list[list[tuple[int, ...]]] = [[] for _ in range(groups)]
    for length in range(longest + 1):
        taken: Counter[int] = Counter()
        for group in range(groups):
            grown = []
            for log_prob, tokens, hidden in live[group]:
                hidden, log_probs = model.after(0, tokens[-1] if tokens else BOS, hidden)
                for token in range(VOCABULARY):
                    if token == EOS or length < longest:
                        total = log_prob + float(log_probs[token])
                        grown.append((total, (*tokens, token), hidden))
            grown.sort(key=lambda one: one[0] - strength * taken[one[1][-1]], reverse=True)
            grown = grown[: options.beam_width // groups]
            taken_now = Counter(tokens[-1] for _, tokens, _ in grown)
            ended[group] += [tokens[:-1] for _, tokens, _ in grown if tokens[-1] == EOS]
            live[group] = [one for one in grown if one[1][-1] != EOS]
            taken += taken_now
    return [sorted(one) for one in ended]


@settings(max_examples=40)
@given(st.integers(0, 9999), st.integers(2, 4), st.integers(1, 3), st.floats(0, 5))
def test_groups_search_as_the_paper_says(
    seed: int, groups: int, size: int, strength: float
) -> None:
    options = options_of(groups, size, strength)
    found = search(seed, options)
    expected = written_out(seed, 5, options, strength, groups)
    assert [of_group(found, group) for group in range(groups)] == expected


@settings(max_examples=30)
@given(st.integers(0, 9999), st.integers(1, 5), st.floats(0, 5))
def test_one_group_is_plain_beam_search(seed: int, width: int, strength: float) -> None:
    options = replace(
        options_of(1, width, strength), early_stopping=EarlyStopping.NO_BETTER_POSSIBLE
    )
    assert search(seed, options) == search(seed, replace(options, diversity=None))


@settings(max_examples=30)
@given(st.integers(0, 9999), st.integers(2, 4), st.integers(1, 3))
def test_without_strength_every_group_is_a_plain_beam_of_its_size(
    seed: int, groups: int, size: int
) -> None:
    options = options_of(groups, size, 0.0)
    found = search(seed, options)
    alone = search(seed, replace(options, beam_width=size, diversity=None, n_best=size))
    for group in range(groups):
        assert of_group(found, group) == sorted(one.tokens for one in alone)


@settings(max_examples=30)
@given(st.integers(0, 9999), st.integers(1, 3), st.floats(0, 5), st.integers(1, 6))
def test_stopping_early_changes_no_answer(seed: int, size: int, strength: float, n: int) -> None:
    """Nor does another sentence in the batch; and log-probabilities are the model's.

    Of each group its share of the answer stands. What fills the answer up where groups found the
    same is what they happened to meet.
    """
    n_best = min(n, 2 * size)
    options = replace(options_of(2, size, strength), n_best=n_best)
    never = search(seed, options, (5, 2))
    early = search(seed, replace(options, early_stopping=EarlyStopping.NO_BETTER_POSSIBLE), (5, 2))
    share = -(-n_best // 2)
    for group in range(2):
        early_ones, all_ones = (
            [one for one in found if one.group == group][:share] for found in (early, never)
        )
        assert early_ones == all_ones
    different = [len({one.tokens for one in found}) for found in (early, never)]
    assert different[0] >= min(n_best, different[1])
    for one in early:
        assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-9)


def test_groups_take_turns_in_the_answer() -> None:
    found = search(7, options_of(3, 2, 2.0))
    assert sorted(one.group for one in found[:3]) == [0, 1, 2]
    assert sorted(one.group for one in found[3:6]) == [0, 1, 2]
    for group in range(3):
        scores = [one.score for one in found if one.group == group]
        assert scores == sorted(scores, reverse=True)


def test_strength_makes_groups_differ() -> None:
    def first_tokens(strength: float) -> set[tuple[int, ...]]:
        return {one.tokens[:1] for one in search(11, options_of(4, 1, strength))}

    assert len(first_tokens(0.0)) == 1
    assert len(first_tokens(100.0)) == 4
