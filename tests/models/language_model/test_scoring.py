"""Scores: the chain rule, spans, and the same answer in any company."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman_models.errors import WorkCancelledError
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.text_scores import TextScore, TextToScore
from dragoman_models.language_model.text_vocabulary import locate_text

ODD = [
    "",
    " ",
    "\n",
    "\n\n a",
    "\0",
    "\ud800",
    "שלום עולם",
    "👩‍👩‍👧 ﬁ e\u0301",
    "the old man",
    "a" * 700,
]


def one(
    model: LanguageModel, text: str, context: str = "", *, exclude_end: bool = False
) -> TextScore:
    item = TextToScore(text=text, context=context)
    return model.score([item], exclude_end=exclude_end)[0]


@torch.no_grad()
def by_chain_rule(model: LanguageModel, ids: list[int]) -> list[float]:
    """One step of the readable cells at a time, over the whole softmax."""
    state, previous, found = model.network.initial_state(1), model.vocabulary.eos, []
    for token in ids:
        hidden, state = model.network.step(torch.tensor([previous]), state)
        found.append(float(model.network.output.log_probs(hidden)[0, token]))
        previous = token
    return found


@pytest.mark.parametrize("text", ODD)
def test_a_text_has_the_probability_of_its_tokens(any_model: LanguageModel, text: str) -> None:
    ids = [token.id for token in locate_text(any_model.vocabulary, text)]
    score = one(any_model, text)
    expected = by_chain_rule(any_model, [*ids, any_model.vocabulary.eos])
    assert [t.log_prob for t in score.tokens] == pytest.approx(expected, abs=1e-4)
    assert score.log_prob == pytest.approx(sum(expected), abs=1e-3)
    assert score.perplexity == pytest.approx(math.exp(-score.log_prob / len(expected)))
    end = score.tokens[-1]
    assert (end.begin, end.end) == (len(text), len(text))
    shorter = one(any_model, text, exclude_end=True)
    assert len(shorter.tokens) == len(ids)


def test_measures_without_anything_to_measure_are_absent(any_model: LanguageModel) -> None:
    score = one(any_model, "", exclude_end=True)
    assert (score.log_prob, score.perplexity) == (0.0, None)
    assert (score.word_perplexity, score.bits_per_character) == (None, None)
    assert one(any_model, "").perplexity is not None
    blank = one(any_model, " ")
    assert blank.word_perplexity is None
    assert blank.bits_per_character is not None


@given(texts=st.lists(st.tuples(st.text(max_size=40), st.text(max_size=10)), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_company_does_not_change_a_score(
    any_model: LanguageModel, texts: list[tuple[str, str]]
) -> None:
    items = [TextToScore(text=text, context=context) for text, context in texts]
    together = any_model.score([*items, TextToScore(text="the old man " * 120)])[: len(items)]
    for item, score in zip(items, together, strict=True):
        alone = any_model.score([item])[0]
        assert [t.token for t in score.tokens] == [t.token for t in alone.tokens]
        assert [t.log_prob for t in score.tokens] == pytest.approx(
            [t.log_prob for t in alone.tokens], abs=2e-4
        )
        assert all(0 <= t.begin <= t.end <= len(item.text) for t in score.tokens)


def test_a_text_after_its_context_completes_the_whole(any_model: LanguageModel) -> None:
    whole = one(any_model, "the old man sang")
    context = one(any_model, "the old", exclude_end=True)
    rest = one(any_model, " man sang", context="the old")
    assert context.log_prob + rest.log_prob == pytest.approx(whole.log_prob, abs=1e-3)
    assert (rest.words, rest.characters) == (2, 9)


def test_a_long_text_is_scored_in_segments_with_its_state(subword_model: LanguageModel) -> None:
    text = ("the dog slept under the table. " * 3300)[:100_000]
    score = one(subword_model, text)
    assert score.characters == 100_000
    ids = [token.id for token in locate_text(subword_model.vocabulary, text)][:600]
    expected = by_chain_rule(subword_model, ids)  # over two borders of segments
    assert [t.log_prob for t in score.tokens[:600]] == pytest.approx(expected, abs=1e-3)


def test_unknown_tokens_are_counted(any_model: LanguageModel) -> None:
    count = one(any_model, "the 日本 the").unknown_tokens
    expected = {"words": 1, "characters": 2, "subwords": 0}
    assert count == expected[any_model.vocabulary.kind]


def test_cancelled_scoring_stops(any_model: LanguageModel) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(WorkCancelledError):
        any_model.score([TextToScore(text="the old man " * 400)], cancelled=cancelled)
    assert len(asked) == 2
