"""The compiled loops against torch's operations: the same numbers, and the same translations."""

from collections.abc import Callable

import numpy as np
import pytest

from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.translation.arithmetic.choice import Arithmetic, available, host_features
from dragoman_models.translation.arithmetic.network import CompiledNetwork
from dragoman_models.translation.arithmetic.packing import Precision
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.plain_model import PlainModel
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.stored_network import stored
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

KINDS = sorted({Arithmetic.FLOAT32, *available(host_features())}, key=lambda kind: kind.value)
PRECISIONS = [Precision(kind.value) for kind in KINDS]
# The largest difference of a logit from float32's, of logits up to about 10.
TOLERANCE = {Precision.FLOAT32: 2e-4, Precision.BFLOAT16: 0.3, Precision.INT8: 0.6}
SOURCES = [
    "Tom",
    "Il fait froid ce matin. " * 12,
    "Où est la gare ?",
    "🙂",
    "Le chat dort sur la table, et Marie mange une pomme à midi.",
    "שלום עולם",
    "Merci beaucoup !",
]
MakeSources = Callable[[int], list[list[int]]]


@pytest.mark.parametrize(
    ("precision", "tabulated"),
    [*((precision, True) for precision in PRECISIONS), (Precision.FLOAT32, False)],
)
def test_steps_give_the_plain_network_s_numbers(
    suited_network: TranslationNetwork, make_sources: MakeSources, precision: Precision,
    tabulated: bool,
) -> None:  # fmt: skip
    """Three steps of 11 sentences: hypotheses are multiplied, reordered and sentences dropped."""
    plain = PlainModel(suited_network)
    compiled = CompiledNetwork(stored(suited_network), precision, tabulated=tabulated)
    sources = make_sources(11)
    expected, found = plain.encode(sources), compiled.encode(sources)
    previous = np.full(11, 2)
    selections = [
        (None, np.arange(11).repeat(3)),
        (np.array([0, 2, 3, 9]), np.array([2, 0, 0, 6, 7, 8, 9, 9, 9, 29, 28, 27])),
        (None, np.arange(12)),
    ]
    for sentences, rows in selections:
        logits, expected, weights = plain.step(previous, expected)
        found_logits, found, found_weights = compiled.step(previous, found)
        assert np.abs(found_logits - logits).max() < TOLERANCE[precision]
        assert np.abs(found_weights - weights).max() < TOLERANCE[precision] / 5
        np.testing.assert_allclose(found_weights.sum(axis=1), 1, atol=1e-5)
        assert logits.std() > 0.5  # there was something to get wrong
        expected, found = (
            plain.select(expected, sentences, rows), compiled.select(found, sentences, rows)
        )  # fmt: skip
        previous = logits.argmax(axis=1)[rows]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("width", [1, 5, 64])
def test_candidates_are_the_best_of_all_logits(
    suited_network: TranslationNetwork, make_sources: MakeSources, precision: Precision, width: int
) -> None:
    model = CompiledNetwork(stored(suited_network), precision)
    state = model.encode(make_sources(7))
    previous = np.arange(7) + 10
    logits, _, _ = model.step(previous, state)
    candidates, _, _ = model.candidates(previous, state, width)
    assert candidates.tokens is not None
    assert (candidates.tokens[:, :4] == np.arange(4)).all()
    named = np.take_along_axis(logits, candidates.tokens, axis=1)
    np.testing.assert_allclose(candidates.logits, named, rtol=1e-5)
    best = -np.sort(-logits[:, 4:], axis=1)[:, :width]
    np.testing.assert_allclose(candidates.logits[:, 4:], best, rtol=1e-5)
    normalizers = np.log(np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(candidates.normalizers, normalizers, rtol=1e-5)


def check_same(found: tuple[Hypothesis, ...], expected: tuple[Hypothesis, ...]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.truncated) == (other.text, other.truncated)
        assert one.score == pytest.approx(other.score, abs=1e-3)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-3)
        assert (one.attention is None) == (other.attention is None)
        if one.attention is not None and other.attention is not None:
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-4)


def translator_of(
    network: TranslationNetwork,
    tokenizer: SubwordTokenizer,
    kind: Arithmetic,
    shortlist: Shortlist | None = None,
) -> Translator:
    return Translator(
        network, tokenizer, source_language="fr", target_language="en", arithmetic=kind,
        shortlist=shortlist,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        TranslationOptions(max_length=25),
        TranslationOptions(beam_width=1, max_length=25, return_alignments=True),
        TranslationOptions(beam_width=7, n_best=7, max_length=20, return_alignments=True),
        TranslationOptions(beam_width=4, n_best=2, min_length=6, max_length=9),
        TranslationOptions(beam_width=4, max_length=25, no_repeat_ngram_size=1),
        TranslationOptions(beam_width=4, n_best=4, max_length=15, coverage_penalty=0.4),
    ],
    ids=["default", "greedy", "n-best", "minimum", "n-grams", "coverage"],
)
def test_float32_finds_the_plain_search_s_hypotheses(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, options: TranslationOptions
) -> None:
    plain, compiled = (
        translator_of(suited_network, tokenizer, kind).translate(SOURCES, options)
        for kind in (Arithmetic.PLAIN, Arithmetic.FLOAT32)
    )
    assert len({answer[0].text for answer in plain}) > 3  # they do depend on the source
    for found, expected in zip(compiled, plain, strict=True):
        check_same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_prefixes_are_kept_by_all_arithmetic(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, kind: Arithmetic
) -> None:
    options = TranslationOptions(max_length=20)
    answers = translator_of(suited_network, tokenizer, kind).translate(
        SOURCES, options, prefixes=["It is"] * len(SOURCES)
    )
    assert all(answer[0].text.startswith("It is") for answer in answers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_shortlist", [False, True])
def test_a_batch_gives_what_each_sentence_gives_alone(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, kind: Arithmetic,
    with_shortlist: bool,
) -> None:  # fmt: skip
    """Also with lists that differ from sentence to sentence: there is no union of them."""
    shortlist = Shortlist(
        common=np.arange(40), starts=np.arange(341) // 2 * 70, tokens=np.arange(170 * 70) % 340
    )
    translator = translator_of(
        suited_network, tokenizer, kind, shortlist if with_shortlist else None
    )
    options = TranslationOptions(beam_width=5, n_best=3, max_length=25, return_alignments=True)
    for source, answer in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        (alone,) = translator.translate([source], options)
        check_same(answer, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shortlist_of_all_pieces_changes_nothing(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, kind: Arithmetic
) -> None:
    everything = Shortlist(
        common=np.arange(340), starts=np.zeros(341, np.int64), tokens=np.empty(0, np.int64)
    )
    options = TranslationOptions(n_best=5, max_length=20)
    without, with_it = (
        translator_of(suited_network, tokenizer, kind, shortlist).translate(SOURCES, options)
        for shortlist in (None, everything)
    )
    for found, expected in zip(with_it, without, strict=True):
        check_same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_only_pieces_of_the_shortlist_are_written(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, kind: Arithmetic
) -> None:
    common = np.union1d(np.arange(4), np.arange(280, 300))
    shortlist = Shortlist(
        common=common, starts=np.zeros(341, np.int64), tokens=np.empty(0, np.int64)
    )
    translator = translator_of(suited_network, tokenizer, kind, shortlist)
    options = TranslationOptions(n_best=5, min_length=5, max_length=12)
    for source, answer in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        allowed = {*tokenizer.pieces(common.tolist()), *translator.source_tokens(source)}
        assert all(set(one.tokens) <= allowed for one in answer)


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_wider_than_the_shortlist(
    suited_network: TranslationNetwork, tokenizer: SubwordTokenizer, kind: Arithmetic
) -> None:
    shortlist = Shortlist(
        common=np.array([0, 1, 2, 3, 290]), starts=np.zeros(341, np.int64),
        tokens=np.empty(0, np.int64),
    )  # fmt: skip
    translator = translator_of(suited_network, tokenizer, kind, shortlist)
    options = TranslationOptions(beam_width=30, n_best=30, max_length=3)
    (answer,) = translator.translate(["Tom"], options)
    assert 1 <= len(answer) <= 30
    assert all(np.isfinite(one.log_prob) for one in answer)
