"""Whole sequences are drawn with the probabilities that the filters define, for small models."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from tests.models.search.random_model import RecurrentModel

from dragoman_models.search.beam_search import FoundSequence, SearchOptions
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.search.sequence_sampling import sample_sequences
from dragoman_models.search.token_rules import BannedTokens, ForcedPrefixes, MinimumLengths
from dragoman_models.search.token_sampling import filtered_probabilities

V, BOS, EOS = 5, 0, 1
LONGEST = 3


def options_of(**changes: object) -> SearchOptions:
    return SearchOptions(beam_width=1, bos=BOS, eos=EOS, **changes)  # type: ignore[arg-type]


def drawn(
    model: RecurrentModel, sampling: SamplingOptions, options: SearchOptions, *, count: int
) -> list[FoundSequence]:
    return sample_sequences(
        model, model.state(), max_length=LONGEST, options=options, sampling=sampling,
        generators=[np.random.default_rng([7, index]) for index in range(count)],
    )  # fmt: skip


def all_sequences(
    model: RecurrentModel, sampling: SamplingOptions
) -> dict[tuple[int, ...], tuple[float, float]]:
    """Of each sequence without eos: the probability to draw it, and its log-probability."""
    found: dict[tuple[int, ...], tuple[float, float]] = {}

    def grow(tokens: tuple[int, ...], hidden: np.ndarray, chance: float, log_prob: float) -> None:
        hidden, log_probs = model.after(0, tokens[-1] if tokens else BOS, hidden)
        chances = filtered_probabilities(torch.tensor(log_probs).unsqueeze(0), [sampling])[0]
        if len(tokens) == LONGEST:
            found[tokens] = chance, log_prob + log_probs[EOS]
            return
        for token in range(V):
            after = chance * float(chances[token]), log_prob + log_probs[token]
            if token == EOS:
                found[tokens] = after
            else:
                grow((*tokens, token), hidden, *after)

    grow((), model.first[0], 1.0, 0.0)
    return found


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingOptions(),
        SamplingOptions(temperature=0.6),
        SamplingOptions(top_k=3),
        SamplingOptions(top_p=0.8, temperature=1.4),
    ],
)
def test_sequences_have_their_exact_probabilities(sampling: SamplingOptions) -> None:
    """Chi-squared of 6,000 draws, fixed seed; what is expected less than 5 times is a class."""
    model = RecurrentModel(3, vocabulary=V, sentences=1, sharpness=1.0)
    expected = all_sequences(model, sampling)
    assert sum(chance for chance, _ in expected.values()) == pytest.approx(1.0)
    count = 6_000
    samples = drawn(model, sampling, options_of(), count=count)
    counts = Counter(one.tokens for one in samples)
    rare = {tokens for tokens, (chance, _) in expected.items() if count * chance < 5}
    assert all(expected[tokens][0] > 0 for tokens in counts)
    classes = [(counts[t], count * expected[t][0]) for t in expected.keys() - rare]
    classes.append(
        (sum(counts[t] for t in rare), max(count * sum(expected[t][0] for t in rare), 1e-9))
    )
    statistic = sum((got - wanted) ** 2 / wanted for got, wanted in classes)
    assert statistic < chi2.ppf(0.999, len(classes) - 1)
    for one in samples[:50]:
        assert one.log_prob == pytest.approx(expected[one.tokens][1])
        assert one.truncated == (len(one.tokens) == LONGEST)


def test_the_most_probable_tokens_are_drawn_where_nothing_is_left_to_chance() -> None:
    model = RecurrentModel(4, vocabulary=V, sentences=1)
    samples = drawn(model, SamplingOptions(temperature=0), options_of(), count=3)
    hidden, tokens = model.first[0], [BOS]
    while len(tokens) <= LONGEST:
        hidden, log_probs = model.after(0, tokens[-1], hidden)
        if log_probs.argmax() == EOS:
            break
        tokens.append(int(log_probs.argmax()))
    assert [one.tokens for one in samples] == [tuple(tokens[1:])] * 3


def test_a_sample_follows_from_its_own_generator() -> None:
    model = RecurrentModel(5, vocabulary=V, sentences=1, sharpness=1.0)
    together = drawn(model, SamplingOptions(), options_of(), count=40)
    again = drawn(model, SamplingOptions(), options_of(), count=40)
    assert [one.tokens for one in together] == [one.tokens for one in again]
    fewer = drawn(model, SamplingOptions(), options_of(), count=7)
    assert [one.tokens for one in together[:7]] == [one.tokens for one in fewer]
    assert len({one.tokens for one in together}) > 5


def test_rules_and_prefixes_hold_for_samples_and_scores_are_those_of_a_search() -> None:
    model = RecurrentModel(6, vocabulary=V, sentences=1, sharpness=1.0)
    options = options_of(
        rules=(BannedTokens(banned=(BOS, 3)), MinimumLengths(minimums=[2], eos=EOS)),
        prefixes=ForcedPrefixes(prefixes=[[4]]), keep_attention=True,
        normalization=LengthNormalization.AVERAGE,
        coverage=CoveragePenalty(beta=0.5, source_lengths=[3]),
    )  # fmt: skip
    for one in drawn(model, SamplingOptions(), options, count=60):
        assert one.tokens[0] == 4
        assert len(one.tokens) >= 2
        assert not {BOS, 3} & set(one.tokens)
        assert one.log_prob == pytest.approx(sum(one.token_log_probs))
        assert one.attention is not None
        assert one.attention.shape == (len(one.tokens) + 1, 3)
        covered = np.log(one.attention.sum(axis=0).clip(max=1)).sum()
        expected = one.log_prob / (len(one.tokens) + 1) + 0.5 * float(covered)
        assert one.score == pytest.approx(expected, abs=1e-5)


def test_a_dead_end_ends_there() -> None:
    model = RecurrentModel(6, vocabulary=V, sentences=1)
    options = options_of(rules=(BannedTokens(banned=tuple(range(V))),))
    for one in drawn(model, SamplingOptions(), options, count=2):
        assert one.tokens == ()
        assert one.log_prob == pytest.approx(model.after(0, BOS, model.first[0])[1][EOS])


def test_sampling_stops_when_it_is_no_longer_wanted() -> None:
    model = RecurrentModel(6, vocabulary=V, sentences=1)
    asked = itertools.count()
    endless = options_of(rules=(BannedTokens(banned=(EOS,)),))
    found = sample_sequences(
        model, model.state(), max_length=9, options=endless,
        sampling=SamplingOptions(), generators=[np.random.default_rng(0)],
        cancelled=lambda: next(asked) > 1,
    )  # fmt: skip
    assert found == []
    assert len(model.rows) == 2
