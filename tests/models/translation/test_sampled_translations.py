"""Drawn translations: the same in any company, by their seed, and as probable as they say."""

import numpy as np
import pytest

from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

SOURCES = ["Tom", "Il fait froid ce matin.", "Le chat dort sur la table.", "שלום 🙂", "Tom"]


def options_of(**changes: object) -> TranslationOptions:
    values: dict[str, object] = {"n_best": 4, "max_length": 12, "seed": 5}
    sampling = SamplingOptions(temperature=1.5)
    return TranslationOptions(sampling=sampling, **(values | changes))  # type: ignore[arg-type]


def test_the_same_seed_draws_the_same_whatever_else_is_in_the_batch(
    translator: Translator,
) -> None:
    options = options_of(return_alignments=True)
    together = translator.translate(SOURCES, options)
    for source, answer in zip(SOURCES, together, strict=True):
        (alone,) = translator.translate([source], options)
        assert [one.tokens for one in answer] == [one.tokens for one in alone]
        assert [one.token_log_probs for one in answer] == [one.token_log_probs for one in alone]
    assert [len(answer) for answer in together] == [4] * len(SOURCES)
    other = translator.translate(SOURCES, options_of(seed=6))
    assert [[one.text for one in answer] for answer in other] != [
        [one.text for one in answer] for answer in together
    ]


def test_samples_are_as_probable_as_they_say_and_the_best_comes_first(
    translator: Translator,
) -> None:
    for answer in translator.translate(SOURCES, options_of(return_alignments=True)):
        assert [one.score for one in answer] == sorted((o.score for o in answer), reverse=True)
        for one in answer:
            assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-4)
            assert one.attention is not None
            assert len(one.attention) == len(one.tokens) <= 13
            np.testing.assert_allclose(one.attention.sum(axis=1), 1.0, atol=1e-5)


def test_no_temperature_is_greedy_search(translator: Translator) -> None:
    sampling = SamplingOptions(temperature=0.0)
    drawn = translator.translate(SOURCES, TranslationOptions(sampling=sampling, max_length=12))
    greedy = translator.translate(SOURCES, TranslationOptions(beam_width=1, max_length=12))
    for (one,), (other,) in zip(drawn, greedy, strict=True):
        assert one.tokens == other.tokens
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)


def test_other_controls_hold_for_samples(translator: Translator) -> None:
    options = options_of(min_length=6, no_repeat_ngram_size=1)
    prefixes = ["I love"] * len(SOURCES)
    for answer in translator.translate(SOURCES, options, prefixes=prefixes):
        for one in answer:
            assert one.text.startswith("I love")
            assert 6 <= len(one.tokens) - 1 <= 12
            assert len(set(one.tokens)) == len(one.tokens)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (options_of(n_best=65), "n_best"),
        (options_of(n_best=0), "n_best"),
        (options_of(seed=-1), "sampling.seed"),
        (TranslationOptions(sampling=SamplingOptions(top_p=0.0)), "sampling.top_p"),
    ],
)
def test_options_out_of_range_are_named(options: TranslationOptions, field: str) -> None:
    assert [violation.field for violation in options.violations()] == [field]
