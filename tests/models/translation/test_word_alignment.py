"""Words and their links: spans in the texts, and shares that follow from the attention."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_models.translation.word_alignment import LEAST_SHARE, word_links, words_of

SOURCES = [
    "Le chat boit du lait.", "L'été, 25 ans !", "שלום עולם 🙂", "👨‍👩‍👧 e\u0301te\u0301 日本語",
    "  Tom \u00a0 dort ", "ﬁn — ﬁn", "a\u200fb\0c", "Ü" * 40,
]  # fmt: skip


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_words_and_the_blanks_between_them_are_the_text(text: str) -> None:
    spans = words_of(text)
    position = 0
    for start, end in spans:
        assert position <= start < end
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't panic, it's 3.5 km!", ["Don't", "panic", ",", "it's", "3.5", "km", "!"]),
        ("שלום עולם.", ["שלום", "עולם", "."]),
        ("日本語。", ["日", "本", "語", "。"]),
        ("👨‍👩‍👧🇫🇷 e\u0301te\u0301", ["👨‍👩‍👧", "🇫🇷", "e\u0301te\u0301"]),
        (" \n", []),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_of(text)] == words


def test_shares_follow_from_the_attention_of_pieces() -> None:
    """Two pieces make a target word, and one source piece lies in two words."""
    source, target = "ab cd", "xyz."
    source_pieces = [(0, 1), (1, 4), (4, 5), (0, 0)]  # "a", "b c", "d", eos
    target_pieces = [(0, 2), (2, 3), (3, 4), (0, 0)]  # "xy", "z", ".", eos
    attention = np.array(
        [[0.5, 0.3, 0.2, 0.0], [0.1, 0.6, 0.3, 0.0], [0.0, 0.05, 0.05, 0.9], [0, 0, 0, 1]],
        dtype=np.float32,
    )
    links = word_links(
        attention, source=source, target=target,
        source_pieces=source_pieces, target_pieces=target_pieces,
    )  # fmt: skip
    # "b c" has a blank in it: words get 1/2 each. The period looks at eos alone.
    shares = [(0.5 + 0.15 + 0.1 + 0.3) / 2, (0.2 + 0.15 + 0.3 + 0.3) / 2]
    assert [(one.target, one.source) for one in links] == [((0, 3), (0, 2)), ((0, 3), (3, 5))]
    assert [one.weight for one in links] == pytest.approx(shares)


def test_links_lie_in_both_texts_whatever_they_are_written_in(translator: Translator) -> None:
    options = TranslationOptions(beam_width=3, n_best=2, max_length=25, return_alignments=True)
    linked = 0
    for source, answer in zip(SOURCES, translator.translate(SOURCES, options), strict=True):
        for one in answer:
            sources, targets = words_of(source), words_of(one.text)
            assert all(link.source in sources for link in one.word_links)
            assert all(link.target in targets for link in one.word_links)
            assert all(LEAST_SHARE <= link.weight <= 1 for link in one.word_links)
            order = [(link.target, -link.weight) for link in one.word_links]
            assert order == sorted(order)
            assert len({(link.source, link.target) for link in one.word_links}) == len(order)
            linked += len(order)
    assert linked > 10
    without = translator.translate(SOURCES, TranslationOptions(beam_width=3, max_length=5))
    assert not any(one.word_links for answer in without for one in answer)


def test_links_of_a_given_target_are_those_of_a_search_that_can_find_nothing_else(
    translator: Translator,
) -> None:
    for target in ("The cat drinks milk, Tom.", "שלום 🙂"):
        scored = translator.score_targets([(source, target) for source in SOURCES])
        for source, wanted in zip(SOURCES, scored, strict=True):
            options = TranslationOptions(
                max_length=len(wanted.tokens) - 1, return_alignments=True, beam_width=2
            )
            ((found,),) = translator.translate([source], options, prefixes=[target])
            assert [(x.source, x.target) for x in found.word_links] == [
                (x.source, x.target) for x in wanted.word_links
            ]


@given(st.text(max_size=30), st.lists(st.integers(0, 339), max_size=30))
@settings(max_examples=100, deadline=None)
def test_pieces_of_written_text_tile_it(
    tokenizer: SubwordTokenizer, text: str, more: list[int]
) -> None:
    """Each span begins where the one before ended, or is the same character's next byte."""
    ids = [*tokenizer.encode(text), *more]
    written, spans = tokenizer.decode_with_offsets(ids)
    assert written == tokenizer.decode(ids)
    assert len(spans) == len(ids)
    last = (0, 0)
    for span in spans:
        assert span == last or span[0] == last[1]
        last = span
    assert last[1] == len(written)
    assert tokenizer.ids(tokenizer.pieces(ids)) == ids
