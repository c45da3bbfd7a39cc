"""Phrases, penalties and groups hold in the whole translator, in the text that it returns."""

import itertools
import re

import pytest

from dragoman_models.errors import InvalidInputError
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.phrase_automaton import phrase_of
from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.translation.phrases import PhraseReader, SourcePhrases
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

SOURCES = ["Tom", "Il fait froid ce matin.", "Le chat dort sur la table.", "שלום 🙂"]
PHRASES = [["cat"], [], ["the station?", "Tom is"], ["שלום", "🙂!", "naïve", "日本"]]


def holds(text: str, phrase: str) -> bool:
    """As whole words; the phrases are such that Python's word characters are the translator's."""
    spaced = phrase != "日本"
    before = r"(?<!\w)" if spaced and re.match(r"\w", phrase) else ""
    behind = r"(?!\w)" if spaced and re.search(r"\w$", phrase) else ""
    return re.search(f"{before}{re.escape(phrase)}{behind}", text) is not None


@pytest.mark.parametrize("width", [1, 4])
def test_every_translation_holds_its_required_phrases(translator: Translator, width: int) -> None:
    options = TranslationOptions(beam_width=width, n_best=width, max_length=40)
    answers = translator.translate(SOURCES, options, required_phrases=PHRASES)
    for source, phrases, answer in zip(SOURCES, PHRASES, answers, strict=True):
        assert answer
        assert all(holds(one.text, phrase) for one in answer for phrase in phrases)
        (alone,) = translator.translate([source], options, required_phrases=[phrases])
        assert [one.tokens for one in answer] == [one.tokens for one in alone]
    (plain,) = translator.translate([SOURCES[1]], options)
    assert [one.tokens for one in answers[1]] == [one.tokens for one in plain]


def test_phrases_go_with_the_other_controls(translator: Translator) -> None:
    options = TranslationOptions(
        beam_width=4, n_best=4, max_length=24, min_length=12, no_repeat_ngram_size=2,
        coverage_penalty=0.2, repetition_penalty=1.5, banned_phrases=("is", "e"),
    )  # fmt: skip
    (found,) = translator.translate(
        ["Tom dort."], options, prefixes=["I love"], required_phrases=[["Mary!", "25 years"]],
        banned_phrases=[["Mary! 25"]],
    )  # fmt: skip
    assert found
    for one in found:
        assert one.text.startswith("I love")
        assert 12 <= len(one.tokens) - 1 <= 24
        assert all(holds(one.text, phrase) for phrase in ("Mary!", "25 years"))
        assert not any(holds(one.text, phrase) for phrase in ("is", "e", "Mary! 25"))


def test_no_translation_holds_what_is_banned(translator: Translator) -> None:
    """Words that the translations do hold, banned for all or for one; in any case but their own."""
    options = TranslationOptions(beam_width=4, n_best=4, max_length=12)
    plain = translator.translate(SOURCES, options)
    words = [re.findall(r"\w+", answer[0].text) for answer in plain]
    unwanted = next(one for one in itertools.chain(*words) if one.isascii())
    everywhere = TranslationOptions(
        beam_width=4, n_best=4, max_length=12, banned_phrases=(unwanted,)
    )
    for answer in translator.translate(SOURCES, everywhere):
        assert answer
        assert not any(holds(one.text, unwanted) for one in answer)
    banned = [one[:60] for one in words]
    answers = translator.translate(SOURCES, options, banned_phrases=banned)
    for phrases, answer in zip(banned, answers, strict=True):
        assert answer
        assert not any(holds(one.text, phrase) for one in answer for phrase in phrases)


def test_ends_of_words_that_are_banned_can_be_written(tokenizer: SubwordTokenizer) -> None:
    """The word "is" bans neither "this" nor "island", nor "IS"."""
    reader = PhraseReader(tokenizer)

    def occurs(text: str, phrase: str) -> bool:
        rule = reader.banned([SourcePhrases(banned=reader.read("", [phrase], []))], [9])
        assert rule is not None
        return rule.occurs(tokenizer.encode(text), 0)

    assert occurs("This is it.", "is")
    assert not occurs("This island IS.", "is")
    assert occurs("Naïve 🙂 is", "🙂 is")
    assert occurs("日本語", "日本")  # written without blanks
    assert occurs("don\u2019t", "don't")  # as text is normalized everywhere


def test_a_phrase_that_begins_with_punctuation_has_no_blank_before_it(
    tokenizer: SubwordTokenizer,
) -> None:
    reader = PhraseReader(tokenizer)
    phrase = phrase_of(tokenizer.encode("?!"), reader.vocabulary)
    assert (phrase.content, phrase.begins_word, phrase.ends_word) == (b"?!", False, False)


def test_phrases_that_leave_no_translation_are_named(translator: Translator) -> None:
    options = TranslationOptions(beam_width=2, max_length=2, banned_phrases=("Tom",))
    phrases = [["a phrase much too long"], [], ["see Tom"], ["\u200b"], [" "], ["x"] * 17]
    with pytest.raises(InvalidInputError) as caught:
        translator.translate(["Tom"] * 6, options, required_phrases=phrases)
    assert [one.field for one in caught.value.violations] == [
        "sources[2].required_phrases[0]", "sources[3].required_phrases[0]",
        "sources[4].required_phrases[0]", "sources[5].required_phrases",
    ]  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"sources\[0\].required_phrases: need .* pieces"):
        translator.translate(["Tom"] * 2, options, required_phrases=phrases[:2])


def test_repetitions_are_penalized_in_the_score_alone(translator: Translator) -> None:
    options = TranslationOptions(
        beam_width=4, n_best=4, max_length=20, min_length=9, length_penalty=0.0,
        repetition_penalty=2.0,
    )  # fmt: skip
    for answer in translator.translate(SOURCES, options):
        for one in answer:
            tokens = one.tokens[:-1]
            repeated = len(tokens) - len(set(tokens))
            assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-3)
            assert one.score == pytest.approx(one.log_prob - 0.6931472 * repeated, abs=1e-3)


def test_diverse_groups_give_the_best_of_each(translator: Translator) -> None:
    options = TranslationOptions(
        beam_width=6, n_best=3, max_length=8, diverse_beams=DiverseBeams(groups=3, strength=50.0)
    )
    for answer in translator.translate(SOURCES, options):
        assert len({one.tokens[0] for one in answer}) == 3  # each group begins otherwise
        assert [one.score for one in answer] == sorted((one.score for one in answer), reverse=True)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (TranslationOptions(repetition_penalty=0.99), "repetition_penalty"),
        (TranslationOptions(repetition_penalty=float("nan")), "repetition_penalty"),
        (TranslationOptions(banned_phrases=("a", "")), "banned_phrases[1]"),
        (TranslationOptions(banned_phrases=("a" * 201,)), "banned_phrases[0]"),
        (TranslationOptions(banned_phrases=("a",) * 65), "banned_phrases"),
        (
            TranslationOptions(diverse_beams=DiverseBeams(groups=1, strength=0.5)),
            "diverse_beams.groups",
        ),
        (
            TranslationOptions(beam_width=4, diverse_beams=DiverseBeams(groups=3, strength=0.5)),
            "diverse_beams.groups",
        ),
        (
            TranslationOptions(diverse_beams=DiverseBeams(groups=5, strength=float("inf"))),
            "diverse_beams.strength",
        ),
    ],
)
def test_options_out_of_range_are_named(options: TranslationOptions, field: str) -> None:
    assert [violation.field for violation in options.violations()] == [field]
