"""Each control of translation holds in the whole translator, and given targets are scored."""

import math

import numpy as np
import pytest
import torch

from dragoman_models.errors import InvalidInputError, WorkCancelledError
from dragoman_models.search.beam_search import EarlyStopping
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.tokenizer import EOS
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

SOURCES = ["Tom", "Il fait froid ce matin.", "Le chat dort sur la table.", "שלום 🙂"]


def lengths(translator: Translator, options: TranslationOptions) -> list[tuple[int, int]]:
    """Of each source with eos, and of its translation without."""
    answers = translator.translate(SOURCES, options)
    return [
        (len(translator.source_tokens(source)), len(answer[0].tokens) - 1)
        for source, answer in zip(SOURCES, answers, strict=True)
    ]


def test_lengths_stay_between_the_absolute_limits(translator: Translator) -> None:
    options = TranslationOptions(beam_width=3, min_length=7, max_length=9)
    assert all(7 <= target <= 9 for _, target in lengths(translator, options))


def test_lengths_stay_between_the_limits_relative_to_the_source(translator: Translator) -> None:
    options = TranslationOptions(beam_width=3, min_length_ratio=0.5, max_length_ratio=0.8)
    for source, target in lengths(translator, options):
        most = max(1, math.floor(0.8 * source))
        assert min(math.ceil(0.5 * source), most) <= target <= most


@pytest.mark.parametrize("prefix", ["I love", "Tom is", "Ünïcode 🙂", "T"])
def test_translations_begin_with_their_prefix(translator: Translator, prefix: str) -> None:
    options = TranslationOptions(beam_width=4, n_best=4, max_length=40)
    prefixes = [prefix, "", prefix, prefix]
    found = translator.translate(SOURCES, options, prefixes=prefixes)
    for source, wanted, answer in zip(SOURCES, prefixes, found, strict=True):
        assert all(one.text.startswith(wanted) for one in answer)
        (alone,) = translator.translate([source], options, prefixes=[wanted])
        assert [one.tokens for one in answer] == [one.tokens for one in alone]


def test_a_prefix_longer_than_the_translation_may_be_is_refused(translator: Translator) -> None:
    options = TranslationOptions(beam_width=2, max_length=3)
    with pytest.raises(InvalidInputError, match=r"prefixes\[1\]: has .* raise max_length"):
        translator.translate(["Tom", "Tom"], options, prefixes=["", "I am 25 years old"])


@pytest.mark.parametrize("size", [1, 2])
def test_no_ngram_occurs_twice(translator: Translator, size: int) -> None:
    options = TranslationOptions(
        beam_width=3, n_best=3, max_length=30, min_length=20, no_repeat_ngram_size=size
    )
    for answer in translator.translate(SOURCES, options):
        for one in answer:
            tokens = one.tokens[:-1]
            ngrams = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
            assert len(set(ngrams)) == len(ngrams)


def test_coverage_is_added_to_the_score(translator: Translator) -> None:
    """Equation 14 of Wu et al. 2016, from the attention that the translator returns."""
    options = TranslationOptions(
        beam_width=4, n_best=4, max_length=12, coverage_penalty=0.3, return_alignments=True,
        length_normalization=LengthNormalization.NONE, early_stopping=EarlyStopping.NEVER,
    )  # fmt: skip
    for answer in translator.translate(SOURCES, options):
        for one in answer:
            assert one.attention is not None
            covered = np.minimum(one.attention.astype(np.float64).sum(axis=0), 1.0)
            expected = one.log_prob + 0.3 * np.log(covered).sum()
            assert one.score == pytest.approx(expected, abs=1e-3)


TARGETS = ["Tom is asleep.", "", "It is cold. Thank you!", "🙂 שלום"]


@pytest.mark.parametrize("normalization", LengthNormalization)
def test_a_scored_target_is_what_a_search_finds_that_can_find_nothing_else(
    translator: Translator, normalization: LengthNormalization
) -> None:
    scored = translator.score_targets(
        list(zip(SOURCES, TARGETS, strict=True)), normalization=normalization, length_penalty=0.6
    )
    for source, target, found in zip(SOURCES, TARGETS, scored, strict=True):
        options = TranslationOptions(
            beam_width=2, max_length=len(found.tokens) - 1 or None, return_alignments=True,
            length_normalization=normalization, length_penalty=0.6,
        )  # fmt: skip
        if not target:
            continue
        ((forced,),) = translator.translate([source], options, prefixes=[target])
        assert found.tokens == forced.tokens
        assert found.score == pytest.approx(forced.score, abs=1e-4)
        assert found.log_prob == pytest.approx(forced.log_prob, abs=1e-4)
        assert found.token_log_probs == pytest.approx(forced.token_log_probs, abs=1e-4)
        assert found.attention is not None
        assert forced.attention is not None
        np.testing.assert_allclose(found.attention, forced.attention, atol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_scores_are_those_of_the_network_that_is_trained(
    translator: Translator, target: str
) -> None:
    (found,) = translator.score_targets([("Il fait froid.", target)])
    network, tokenizer = translator.network, translator.tokenizer
    source = torch.tensor([[*tokenizer.encode("Il fait froid."), EOS]])
    ids = [*tokenizer.encode(target), EOS]
    logits = network.logits(network(source, torch.tensor([source.size(1)]), torch.tensor([ids])))
    expected = torch.log_softmax(logits[:, 0].double(), dim=1)[torch.arange(len(ids)), ids]
    np.testing.assert_allclose(found.token_log_probs, expected, atol=1e-4)


def test_an_empty_target_is_scored_by_its_end(translator: Translator) -> None:
    (found,) = translator.score_targets([("Tom", "")])
    assert found.tokens == ("</s>",)
    assert found.log_prob == pytest.approx(sum(found.token_log_probs))


def test_a_blank_source_cannot_be_scored(translator: Translator) -> None:
    with pytest.raises(InvalidInputError, match=r"pairs\[1\]\.source: is blank"):
        translator.score_targets([("Tom", "Tom"), (" ", "Tom")])


def test_scoring_stops_when_it_is_no_longer_wanted(translator: Translator) -> None:
    with pytest.raises(WorkCancelledError):
        translator.score_targets([("Tom", "Tom")], cancelled=lambda: True)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (TranslationOptions(min_length=-1), "min_length"),
        (TranslationOptions(min_length=8, max_length=7), "min_length"),
        (TranslationOptions(max_length_ratio=0.0), "max_length_ratio"),
        (TranslationOptions(max_length_ratio=math.nan), "max_length_ratio"),
        (TranslationOptions(min_length_ratio=-0.1), "min_length_ratio"),
        (TranslationOptions(min_length_ratio=2.0, max_length_ratio=1.0), "min_length_ratio"),
        (TranslationOptions(coverage_penalty=-1.0), "coverage_penalty"),
        (TranslationOptions(coverage_penalty=math.nan), "coverage_penalty"),
        (TranslationOptions(no_repeat_ngram_size=0), "no_repeat_ngram_size"),
    ],
)
def test_options_out_of_range_are_named(options: TranslationOptions, field: str) -> None:
    assert [violation.field for violation in options.violations()] == [field]
