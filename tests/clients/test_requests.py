"""Requests hold what was asked for, and leave out what was not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.v1 import (
    decoding_pb2,
    embedding_service_pb2,
    evaluation_service_pb2,
    model_pb2,
    translation_service_pb2,
)
from dragoman.v1.translation_service_pb2 import TranslateRequest
from dragoman.v1.translation_service_pb2 import TranslationOptions as TranslationOptionsMessage
from dragoman_client import (
    BleuTokenizer,
    EarlyStopping,
    FinishReason,
    InvalidRequestError,
    LengthNormalization,
    ModelState,
    ModelVersion,
    SamplingOptions,
    ScoringOptions,
    SearchOptions,
    SentenceSplitting,
    TranslationMetric,
    TranslationOptions,
    WordLookup,
    WordMatch,
)
from dragoman_client.requests.models import get_model_request
from dragoman_client.requests.translation import PhrasesOfEach, score_request, translate_request
from dragoman_client.requests.words import (
    analogy_request,
    embed_request,
    nearest_request,
    similarity_request,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(sources=st.lists(TEXTS), name=TEXTS)
def test_texts_arrive_as_they_were_written(sources: list[str], name: str) -> None:
    request = translate_request(sources, model=name, options=None)
    arrived = TranslateRequest.FromString(request.SerializeToString())
    assert [source.text for source in arrived.sources] == sources
    assert arrived.model.name == name
    assert not arrived.HasField("options")


def test_options_that_were_not_chosen_are_absent() -> None:
    request = translate_request(["a"], model="", options=TranslationOptions())
    assert request.options.ListFields() == []
    nearest = nearest_request(["a"], model="", options=SearchOptions())
    assert nearest.options.ListFields() == []
    score = score_request(["a"], ["b"], options=ScoringOptions())
    assert score.options.ListFields() == []


def test_options_that_were_chosen_are_there() -> None:
    chosen = TranslationOptions(
        beam_width=0,  # which differs from absent
        n_best=2,
        length_normalization=LengthNormalization.AVERAGE,
        length_penalty=0.0,
        max_length=7,
        return_tokens=True,
        return_alignments=True,
    )
    options = translate_request(["a"], model="", options=chosen).options
    assert (options.HasField("beam_width"), options.beam_width) == (True, 0)
    assert (options.HasField("length_penalty"), options.length_penalty) == (True, 0.0)
    assert (options.n_best, options.max_length) == (2, 7)
    assert options.length_normalization == decoding_pb2.LENGTH_NORMALIZATION_AVERAGE
    assert options.return_tokens
    assert options.return_alignments


def test_every_number_of_the_translation_options_is_sent() -> None:
    numbers: dict[str, float] = {
        "beam_width": 6, "n_best": 2, "length_penalty": 0.5, "max_length": 9, "min_length": 3,
        "max_length_ratio": 1.5, "min_length_ratio": 0.25, "coverage_penalty": 0.125,
        "no_repeat_ngram_size": 4, "repetition_penalty": 1.25,
    }  # fmt: skip
    chosen = TranslationOptions(**numbers, early_stopping=EarlyStopping.NEVER)  # type: ignore[arg-type]
    options = translate_request(["a"], model="", options=chosen).options
    assert {name: getattr(options, name) for name in numbers} == numbers
    assert options.early_stopping == decoding_pb2.EARLY_STOPPING_NEVER


def test_sampling_ensembles_and_splitting_are_sent() -> None:
    chosen = TranslationOptions(
        sampling=SamplingOptions(temperature=0.0, top_k=4, top_p=0.5, seed=2**64 - 1),
        ensemble_models=("other", ModelVersion(name="third", version=3)),
        sentence_splitting=SentenceSplitting.AT_SENTENCE_ENDS,
    )
    options = translate_request(["a"], model="", options=chosen).options
    assert options.sampling == decoding_pb2.SamplingOptions(
        temperature=0.0, top_k=4, top_p=0.5, seed=2**64 - 1
    )
    first, second = options.ensemble_models
    assert (first.name, first.HasField("version")) == ("other", False)
    assert (second.name, second.version) == ("third", 3)
    assert options.sentence_splitting == (
        translation_service_pb2.SENTENCE_SPLITTING_AT_SENTENCE_ENDS
    )
    plain = TranslationOptions(sampling=SamplingOptions())
    options = translate_request(["a"], model="", options=plain).options
    assert options.HasField("sampling")
    for wrong, path in (
        (TranslationOptions(sampling=SamplingOptions(seed=-1)), r"options\.sampling\.seed: is -1"),
        (
            TranslationOptions(ensemble_models=("a", "\ud800")),
            r"options\.ensemble_models\[1\]\.name",
        ),
    ):
        with pytest.raises(InvalidRequestError, match=path):
            translate_request(["a"], model="", options=wrong)


def test_one_prefix_holds_for_all_texts_and_many_for_one_each() -> None:
    def prefixes(given: str | list[str]) -> list[str]:
        request = translate_request(["a", "b"], model="", options=None, target_prefix=given)
        return [source.target_prefix for source in request.sources]

    assert prefixes("x") == ["x", "x"]
    assert prefixes(["x", ""]) == ["x", ""]
    with pytest.raises(InvalidRequestError, match="target_prefix: there are 1 for 2 sources"):
        prefixes(["x"])


def test_phrases_are_given_for_all_texts_or_for_each() -> None:
    def phrases(required: PhrasesOfEach, banned: PhrasesOfEach = ()) -> list[object]:
        request = translate_request(
            ["a", "b"], model="", options=None, required_phrases=required, banned_phrases=banned
        )
        return [(list(s.required_phrases), list(s.banned_phrases)) for s in request.sources]

    assert phrases(["x", "y"], ["z"]) == [(["x", "y"], ["z"])] * 2
    assert phrases([["x"], []], [[], ["z"]]) == [(["x"], []), ([], ["z"])]
    for wrong, message in (
        ("xy", "required_phrases: is one text; give a list"),
        ([["x"]], "required_phrases: there are 1 for 2 sources"),
        (["x", ["y"]], "required_phrases: holds texts beside lists"),
    ):
        with pytest.raises(InvalidRequestError, match=message):
            phrases(wrong)


def test_banned_phrases_and_diverse_groups_are_sent() -> None:
    def sent(**given: object) -> TranslationOptionsMessage:
        chosen = TranslationOptions(**given)  # type: ignore[arg-type]
        return translate_request(["a"], model="", options=chosen).options

    assert list(sent(banned_phrases=("x", "y z")).banned_phrases) == ["x", "y z"]
    assert not sent().HasField("diverse_beams")
    asked = sent(diverse_groups=3, diversity_strength=0.25).diverse_beams
    assert (asked.groups, asked.strength) == (3, 0.25)
    assert not sent(diverse_groups=3).diverse_beams.HasField("strength")
    assert sent(diversity_strength=1.0).diverse_beams.groups == 0  # which the server refuses
    with pytest.raises(InvalidRequestError, match="banned_phrases: is one text"):
        sent(banned_phrases="x")


def test_search_and_scoring_options() -> None:
    search = SearchOptions(k=3, lookup=WordLookup.EXACT, include_query_words=True)
    nearest = nearest_request(["a"], model="", options=search).options
    assert (nearest.k, nearest.include_query_words) == (3, True)
    assert nearest.lookup == embedding_service_pb2.WORD_LOOKUP_EXACT
    scoring = ScoringOptions(
        metrics=(TranslationMetric.TER, TranslationMetric.BLEU),
        lowercase=True,
        bleu_tokenizer=BleuTokenizer.MTEVAL_13A,
    )
    options = score_request(["a"], ["b"], options=scoring).options
    assert list(options.metrics) == [
        evaluation_service_pb2.TRANSLATION_METRIC_TER,
        evaluation_service_pb2.TRANSLATION_METRIC_BLEU,
    ]
    assert options.bleu_tokenizer == evaluation_service_pb2.BLEU_TOKENIZER_13A
    assert options.lowercase


def test_a_model_is_named_with_or_without_its_version() -> None:
    assert not get_model_request("fr-en").model.HasField("version")
    assert not get_model_request(ModelVersion(name="fr-en")).model.HasField("version")
    named = get_model_request(ModelVersion(name="fr-en", version=2)).model
    assert (named.name, named.version) == ("fr-en", 2)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (
            lambda o: translate_request(["a"], model="", options=o(beam_width=-1)),
            0,
        ),
        (
            lambda o: translate_request(["a"], model="", options=o(n_best=2**32)),
            1,
        ),
    ],
)
def test_numbers_that_cannot_be_sent_are_refused_by_name(
    build: Callable[[type[TranslationOptions]], object], field: int
) -> None:
    with pytest.raises(InvalidRequestError, match="give a whole number") as caught:
        build(TranslationOptions)
    assert caught.value.violations[0].field == ("options.beam_width", "options.n_best")[field]


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("words[1]", lambda t: embed_request(
            ["a", t], model="", lookup=None, normalize=False)),
        ("pairs[0].second", lambda t: similarity_request(
            [("a", t)], model="", lookup=None)),
        ("queries[0].word", lambda t: nearest_request([t], model="", options=None)),
        ("questions[0].c", lambda t: analogy_request(
            [("a", "b", t)], model="", options=None, method=None)),
        ("sources[2].text", lambda t: translate_request(
            ["a", "b", t], model="", options=None)),
        ("segments[0].references[0]", lambda t: score_request(
            ["a"], [t], options=None)),
        ("model.name", get_model_request),
    ],
)  # fmt: skip
def test_text_that_is_not_unicode_is_refused_by_name(
    field: str, build: Callable[[str], object]
) -> None:
    with pytest.raises(InvalidRequestError, match="character 2 is a lone surrogate") as caught:
        build("x\udcff")
    assert [violation.field for violation in caught.value.violations] == [field]


def test_scores_need_a_reference_for_each_hypothesis() -> None:
    with pytest.raises(InvalidRequestError, match="references: there are 1 for 2 hypotheses"):
        score_request(["a", "b"], ["c"], options=None)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (WordLookup, embedding_service_pb2.WordLookup),
        (WordMatch, embedding_service_pb2.WordMatch),
        (LengthNormalization, decoding_pb2.LengthNormalization),
        (EarlyStopping, decoding_pb2.EarlyStopping),
        (FinishReason, decoding_pb2.FinishReason),
        (TranslationMetric, evaluation_service_pb2.TranslationMetric),
        (BleuTokenizer, evaluation_service_pb2.BleuTokenizer),
        (ModelState, model_pb2.ModelState),
    ],
)
def test_the_client_knows_every_value_of_the_api(ours: type[enum.Enum], theirs: Any) -> None:
    unspecified = theirs.Name(0)
    prefix = unspecified.removesuffix("UNSPECIFIED")
    names = {f"{prefix}{member.value.upper()}" for member in ours}
    assert names - {f"{prefix}UNKNOWN"} == set(theirs.keys()) - {unspecified}
