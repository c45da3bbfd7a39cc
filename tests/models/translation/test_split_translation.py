"""Texts of several sentences: each translated as if it were alone, and all put together."""

import itertools

import numpy as np
import pytest

from dragoman_models.errors import InvalidInputError
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.tokenizer import EOS
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.sentence_splitting import split_sentences
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_models.translation.word_alignment import words_of

TEXTS = [
    "  Il fait froid.\n\nLe chat dort !  Tom ?\t",
    "Tom",
    "שלום. 🙂 Merci! \x01. Bon.",
    "Il pleut. Il pleut. Il pleut.",
]


def options_of(**changes: object) -> TranslationOptions:
    values: dict[str, object] = {"beam_width": 3, "max_length": 8, "split_sentences": True}
    return TranslationOptions(**(values | changes))  # type: ignore[arg-type]


def alone(translator: Translator, text: str, options: TranslationOptions) -> list[list[Hypothesis]]:
    """The hypotheses of each readable sentence, translated by itself."""
    sentences = [s for s in split_sentences(text).sentences if translator.tokenizer.encode(s)]
    changed = TranslationOptions(
        beam_width=options.beam_width, max_length=options.max_length, n_best=options.n_best,
        return_alignments=options.return_alignments,
    )  # fmt: skip
    return [list(translator.translate([s], changed)[0]) for s in sentences]


def test_the_best_text_is_the_best_of_each_sentence_in_its_spacing(translator: Translator) -> None:
    for text, (found,) in zip(TEXTS, translator.translate(TEXTS, options_of()), strict=True):
        parts = [one[0] for one in alone(translator, text, options_of())]
        rest = found.text
        for part in parts:  # in order, with nothing but spacing between
            before, _, rest = rest.partition(part.text) if part.text else ("", "", rest)
            assert not before.strip(" \n\t\x01.")
        assert found.log_prob == pytest.approx(sum(one.log_prob for one in parts), abs=1e-3)
        assert found.score == pytest.approx(sum(one.score for one in parts), abs=1e-3)
        assert found.tokens == tuple(itertools.chain(*(one.tokens for one in parts)))
        assert found.truncated == any(one.truncated for one in parts)
        assert len(found.token_log_probs) == len(found.tokens)
    first = translator.translate(TEXTS[:1], options_of())[0][0].text
    assert first.startswith("  ")
    assert "\n\n" in first
    assert first.endswith("\t")


def test_the_best_of_many_are_the_best_combinations(translator: Translator) -> None:
    options = options_of(n_best=3)
    for text, found in zip(TEXTS, translator.translate(TEXTS, options), strict=True):
        sums = [
            sum(one.score for one in chosen)
            for chosen in itertools.product(*alone(translator, text, options))
        ]
        expected = sorted(sums, reverse=True)[:3]
        assert [one.score for one in found] == pytest.approx(expected, abs=1e-3)
        assert len({one.tokens for one in found}) == len(found)


def test_alignments_are_those_of_the_sentences(translator: Translator) -> None:
    options = options_of(return_alignments=True)
    for text, (found,) in zip(TEXTS, translator.translate(TEXTS, options), strict=True):
        parts = [one[0] for one in alone(translator, text, options)]
        assert found.attention is not None
        source_tokens = translator.source_tokens(text, split_sentences=True)
        assert found.attention.shape == (len(found.tokens), len(source_tokens))
        np.testing.assert_allclose(found.attention.sum(axis=1), 1.0, atol=1e-4)
        row = column = 0
        for part in parts:
            assert part.attention is not None
            rows, columns = part.attention.shape
            block = found.attention[row : row + rows, column : column + columns]
            np.testing.assert_allclose(block, part.attention, atol=1e-4)
            assert source_tokens[column + columns - 1] == "</s>"
            row, column = row + rows, column + columns
        assert len(found.word_links) == sum(len(part.word_links) for part in parts)
        words = words_of(text)
        assert all(link.source in words for link in found.word_links)
        targets = [link.target for link in found.word_links]
        assert all(0 <= start < end <= len(found.text) for start, end in targets)


def test_samples_are_texts_of_samples_and_equal_sentences_are_drawn_apart(
    translator: Translator,
) -> None:
    options = options_of(n_best=4, sampling=SamplingOptions(temperature=2.0), seed=3, max_length=12)
    together = translator.translate(TEXTS, options)
    assert all(len(found) == 4 for found in together)
    (again,) = translator.translate(TEXTS[3:], options)
    assert [one.tokens for one in again] == [one.tokens for one in together[3]]
    (end,) = translator.tokenizer.pieces([EOS])
    ends = [i + 1 for i, token in enumerate(again[0].tokens) if token == end]
    sentences = [again[0].tokens[a:b] for a, b in itertools.pairwise([0, *ends])]
    assert len(set(sentences)) == 3
    scores = [one.score for one in again]
    assert scores == sorted(scores, reverse=True)


def test_one_sentence_is_translated_as_without_splitting(translator: Translator) -> None:
    options = options_of(n_best=2, return_alignments=True)
    plain = options_of(n_best=2, return_alignments=True, split_sentences=False)
    for one, other in zip(
        translator.translate(["Tom", "Il pleut."], options),
        translator.translate(["Tom", "Il pleut."], plain),
        strict=True,
    ):
        assert [h.tokens for h in one] == [h.tokens for h in other]
        assert [h.text for h in one] == [h.text for h in other]


def test_what_is_wrong_with_a_text_is_said_of_the_text(translator: Translator) -> None:
    with pytest.raises(InvalidInputError, match=r"^sources\[1\]: is blank; give some text$"):
        translator.translate([TEXTS[0], " \n\x01\n", TEXTS[1]], options_of())
    with pytest.raises(InvalidInputError, match=r"^prefixes\[1\]: has .* raise max_length$"):
        translator.translate(TEXTS[:2], options_of(), prefixes=["", "I am 25 years old " * 3])
    with pytest.raises(InvalidInputError, match=r"^beam_width: is 0"):
        translator.translate(TEXTS[:2], options_of(beam_width=0))


def test_a_prefix_begins_the_text_and_a_cancelled_text_has_no_answer(
    translator: Translator,
) -> None:
    prefixes = ["I love", "", "Tom", ""]
    found = translator.translate(TEXTS, options_of(), prefixes=prefixes)
    assert [one[0].text.lstrip().startswith(p) for one, p in zip(found, prefixes, strict=True)] == (
        [True] * 4
    )
    found = translator.translate(TEXTS, options_of(), cancelled=lambda text: text == 2)
    assert [bool(one) for one in found] == [True, True, False, True]
