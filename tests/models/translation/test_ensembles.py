"""Translators of one vocabulary together: their mean, and who cannot be among them."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dragoman_models.errors import InvalidInputError
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.tokenizer import EOS, SubwordTokenizer, train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

SOURCES = ["Tom", "Il fait froid ce matin.", "Le chat dort sur la table.", "שלום 🙂"]
OPTIONS = TranslationOptions(beam_width=3, n_best=3, max_length=10, return_alignments=True)


@pytest.fixture(scope="module")
def other(tokenizer: SubwordTokenizer) -> Translator:
    """A network of another shape over the same vocabulary."""
    torch.manual_seed(4)
    config = NetworkConfig(
        vocabulary_size=340, cell="lstm", embedding_size=8, encoder_size=5, decoder_size=9
    )
    network = TranslationNetwork(config)
    with torch.no_grad():
        network.output_bias.normal_()
    return Translator(network, tokenizer, source_language="fr", target_language="en")


def test_a_model_with_itself_gives_its_own_answers(translator: Translator) -> None:
    twice = translator.ensemble_with([translator])
    alone = translator.translate(SOURCES, OPTIONS)
    for one, both in zip(alone, twice.translate(SOURCES, OPTIONS), strict=True):
        assert [h.tokens for h in one] == [h.tokens for h in both]
        for h, same in zip(one, both, strict=True):
            assert h.token_log_probs == pytest.approx(same.token_log_probs, abs=1e-4)
            assert h.attention is not None
            assert same.attention is not None
            np.testing.assert_allclose(h.attention, same.attention, atol=1e-4)


def test_two_models_give_the_mean_of_the_probabilities_that_each_gives(
    translator: Translator, other: Translator
) -> None:
    both = translator.ensemble_with([other])
    sampled = TranslationOptions(sampling=SamplingOptions(), n_best=3, max_length=10)
    tokenizer = translator.tokenizer
    for options in (OPTIONS, sampled):
        for source, answer in zip(SOURCES, both.translate(SOURCES, options), strict=True):
            for found in answer:
                ids = tokenizer.ids(found.tokens[:-1])
                members = [
                    one._score_batch([[*tokenizer.encode(source), EOS]], [ids])[0]
                    for one in (translator, other)
                ]
                chances = np.exp([one.token_log_probs for one in members]).mean(axis=0)
                assert found.token_log_probs == pytest.approx(np.log(chances), abs=1e-3)


def test_scoring_by_an_ensemble_is_the_mean_token_by_token(
    translator: Translator, other: Translator
) -> None:
    pairs = [(SOURCES[1], "It is cold."), (SOURCES[3], "")]
    ensemble = translator.ensemble_with([other, other])
    scored = ensemble.score_targets(pairs)
    for pair, found in zip(pairs, scored, strict=True):
        first, second = translator.score_targets([pair])[0], other.score_targets([pair])[0]
        for got, a, b in zip(
            found.token_log_probs, first.token_log_probs, second.token_log_probs, strict=True
        ):
            assert got == pytest.approx(math.log((math.exp(a) + 2 * math.exp(b)) / 3), abs=1e-3)
        assert found.attention is not None
        assert first.attention is not None
        assert second.attention is not None
        mean = (first.attention + 2 * second.attention) / 3
        np.testing.assert_allclose(found.attention, mean, atol=1e-4)


def test_models_of_other_languages_or_vocabularies_are_refused(
    translator: Translator, other: Translator
) -> None:
    backwards = copy.copy(other)
    backwards.texts = replace(other.texts, source_language="en", target_language="fr")
    strange = copy.copy(other)
    tokenizer = train_tokenizer(["ab cd ef"] * 9, vocabulary_size=267)
    strange.texts = replace(other.texts, tokenizer=tokenizer)
    with pytest.raises(InvalidInputError) as caught:
        translator.ensemble_with([other, backwards, strange])
    first, second = caught.value.violations
    assert first.field == "ensemble_models[1]"
    assert first.description.startswith("translates en-fr, but the first model fr-en; give")
    assert second.field == "ensemble_models[2]"
    assert second.description.startswith("has another vocabulary than the first model")
