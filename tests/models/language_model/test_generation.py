"""Continuations: the same in any company, in whole characters, ended as they were asked to be."""

import itertools
import random
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.errors import InvalidInputError
from dragoman_models.language_model.completion_options import CompletionOptions
from dragoman_models.language_model.generation import Generation, GenerationEvent
from dragoman_models.language_model.generation_engine import GenerationEngine
from dragoman_models.language_model.generation_options import FinishReason, GenerationOptions
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.text_scores import TextToScore
from dragoman_models.language_model.text_stream import TextStream
from dragoman_models.language_model.text_vocabulary import locate_text
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.sampling_options import SamplingOptions

PROMPTS = ["", "the old man", "the dog ", "日本 👩‍👩‍👧", "the cat slept on it " * 30, "a\nb"]


def run(engine: GenerationEngine) -> list[GenerationEvent]:
    events = []
    while engine.active:
        events += engine.step()
    return events


def text_of(events: Sequence[GenerationEvent], generation: Generation) -> str:
    return "".join(event.text for event in events if event.generation is generation)


def alone(
    model: LanguageModel, prompt: str, seed: int, **options: object
) -> tuple[str, Generation]:
    engine = model.engine()
    (generation,) = engine.join(prompt, GenerationOptions(**options), seed=seed)  # type: ignore[arg-type]
    return text_of(run(engine), generation), generation


def test_same_seed_same_text_whatever_else_runs(any_model: LanguageModel) -> None:
    """40 continuations that join at different steps, some of which are taken out again."""
    chance = random.Random(0)
    styles = [
        SamplingOptions(), SamplingOptions(top_k=5), SamplingOptions(top_p=0.9, temperature=1.3),
        SamplingOptions(typical_p=0.8), SamplingOptions(temperature=0), SamplingOptions(min_p=0.02),
    ]  # fmt: skip
    wanted = [
        (chance.choice(PROMPTS), GenerationOptions(sampling=styles[i % 6], max_tokens=12 + i % 7,
                                                   min_tokens=5), i)
        for i in range(40)
    ]  # fmt: skip
    engine, events = any_model.engine(), []
    joined: list[Generation] = []
    while len(joined) < len(wanted) or engine.active:
        for prompt, options, seed in wanted[len(joined) : len(joined) + chance.randint(0, 6)]:
            joined += engine.join(prompt, options, seed=seed)
        if joined and chance.random() < 0.2:
            engine.leave(chance.choice(joined))
        events += engine.step()
    finished = [g for g in joined if g.finish_reason is not None]
    assert len(finished) > 15
    for (prompt, options, seed), generation in zip(wanted, joined, strict=True):
        text, single = alone(any_model, prompt, seed, **vars(options))
        if generation.finish_reason is not None:
            assert generation.tokens == single.tokens
            assert generation.log_prob == single.log_prob  # bit for bit
            assert text_of(events, generation) == text
        else:
            assert single.tokens[: len(generation.tokens)] == generation.tokens


def test_samples_of_one_prompt_differ_and_follow_from_the_seed(any_model: LanguageModel) -> None:
    texts = []
    for seed in (1, 1, 2):
        engine = any_model.engine()
        generations = engine.join("the old", GenerationOptions(max_tokens=20), seed=seed, samples=3)
        events = run(engine)
        texts.append([text_of(events, one) for one in generations])
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == 3


def test_log_probs_are_the_models_own(any_model: LanguageModel) -> None:
    engine = any_model.engine()
    options = GenerationOptions(
        sampling=SamplingOptions(temperature=0.7, top_k=4), max_tokens=15, repetition_penalty=1.5
    )
    (generation,) = engine.join("the old", options, seed=4)
    events = run(engine)
    network, vocabulary = any_model.network, any_model.vocabulary
    prompt = [vocabulary.eos, *(token.id for token in locate_text(vocabulary, "the old"))]
    ids = torch.tensor([*prompt, *generation.tokens])
    hidden = network(ids[:-1].unsqueeze(1), network.initial_state(1)).raw.squeeze(1)
    expected = network.output.token_log_probs(hidden, ids[1:])[len(prompt) - 1 :]
    found = [event.token_log_prob for event in events]
    assert found == pytest.approx(expected.tolist(), abs=1e-4)
    assert generation.log_prob == pytest.approx(float(expected.sum()), abs=1e-3)


def test_first_draw_has_the_models_distribution(any_model: LanguageModel) -> None:
    """All samples see the whole prompt: their first token's mean log-prob is minus the entropy."""
    engine = any_model.engine()
    engine.join("the old man", GenerationOptions(max_tokens=1), seed=9, samples=600)
    events = run(engine)
    ids = locate_text(any_model.vocabulary, "the old man")
    tokens = torch.tensor([any_model.vocabulary.eos, *(t.id for t in ids)]).unsqueeze(1)
    network = any_model.network
    hidden = network(tokens, network.initial_state(1)).raw[-1]
    log_probs = network.output.log_probs(hidden)[0]
    log_probs[list(any_model.vocabulary.never_generated())] = -torch.inf
    p = log_probs.softmax(0)
    information = -log_probs.masked_fill(p == 0, 0)
    mean = float((p * information).sum())
    deviation = float((p * (information - mean) ** 2).sum().sqrt())
    found = [-event.token_log_prob for event in events]
    assert abs(sum(found) / 600 - mean) < 4 * deviation / 600**0.5


def test_text_comes_in_whole_characters(subword_model: LanguageModel) -> None:
    """What the model says is mostly bytes that make no characters, among some that do."""
    for seed in range(6):
        engine = subword_model.engine()
        (one,) = engine.join("the", GenerationOptions(max_tokens=60, min_tokens=60), seed=seed)
        text = text_of(run(engine), one)
        data = b"".join(subword_model.vocabulary.token_bytes(token) for token in one.tokens)
        assert text == data.decode("utf-8", "replace")


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12))
@settings(max_examples=50, deadline=None)
def test_a_character_of_several_tokens_is_never_split(
    subword_model: LanguageModel, text: str
) -> None:
    vocabulary = subword_model.vocabulary
    stream = TextStream(vocabulary, "")
    ids = vocabulary.encode_lines([text])[0]
    pieces = [stream.add(token) for token in ids]
    data = b"".join(vocabulary.token_bytes(token) for token in ids)
    joined = "".join(pieces) + stream.finish()
    assert joined == data.decode().removeprefix(" ")
    assert "\ufffd" not in joined or "\ufffd" in data.decode()


@given(
    text=st.text("abc", max_size=12),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
def test_nothing_behind_a_stop_string_comes_out(text: str, stops: list[str]) -> None:
    stream = TextStream(_Letters(), "x", stops)  # type: ignore[arg-type]
    found = "".join(stream.add(ord(letter)) for letter in text) + stream.finish()
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(s) for s in stops)]
    if ends:  # the stop that is whole first; of those that end together the longest
        cut = min(text[: ends[0]].find(stop) for stop in stops if stop in text[: ends[0]])
        assert found == text[:cut]
    else:
        assert found == text
    assert stream.stopped == bool(ends)


class _Letters:
    """Each code point is a token."""

    kind = "characters"

    def token_bytes(self, token: int) -> bytes:
        return chr(token).encode()


def test_stop_string_ends_the_text_before_it(any_model: LanguageModel) -> None:
    whole, one = alone(any_model, "the old", 3, max_tokens=40, min_tokens=40)
    stop = whole[len(whole) // 2 :][:3]
    text, stopped = alone(
        any_model, "the old", 3, max_tokens=40, min_tokens=40, stop_strings=(stop,)
    )
    assert text == whole[: whole.index(stop)]
    assert stopped.finish_reason is FinishReason.STOP_STRING
    assert stopped.tokens == one.tokens[: len(stopped.tokens)]
    assert len(stopped.tokens) < 40


def test_limits_of_length(any_model: LanguageModel) -> None:
    for seed in range(8):
        _, short = alone(any_model, "the", seed, max_tokens=7, min_tokens=7)
        assert len(short.tokens) == 7
        assert any_model.vocabulary.eos not in short.tokens
        assert short.finish_reason is FinishReason.MAX_LENGTH
    ends = [alone(any_model, "the", seed, max_tokens=2000)[1] for seed in range(3)]
    for one in ends:
        if one.finish_reason is FinishReason.END_OF_TEXT:
            assert one.tokens.index(any_model.vocabulary.eos) == len(one.tokens) - 1
    assert FinishReason.END_OF_TEXT in {one.finish_reason for one in ends}


def test_tokens_that_are_no_text_are_never_drawn(any_model: LanguageModel) -> None:
    for seed in range(5):
        _, one = alone(any_model, "", seed, max_tokens=100, min_tokens=100,
                       sampling=SamplingOptions(temperature=100))  # fmt: skip
        assert not set(any_model.vocabulary.never_generated()) & set(one.tokens)


def test_no_ngram_occurs_twice(any_model: LanguageModel) -> None:
    greedy = SamplingOptions(temperature=0)
    options = {"sampling": greedy, "max_tokens": 60, "min_tokens": 60}
    _, free = alone(any_model, "the", 0, **options)
    _, ruled = alone(any_model, "the", 0, no_repeat_ngram_size=2, **options)

    def bigrams(tokens: list[int]) -> list[tuple[int, int]]:
        return list(itertools.pairwise(tokens))

    assert len(set(bigrams(free.tokens))) < len(bigrams(free.tokens))
    assert len(set(bigrams(ruled.tokens))) == len(bigrams(ruled.tokens))
    _, once = alone(any_model, "the", 0, no_repeat_ngram_size=1, sampling=greedy, max_tokens=2000)
    assert len(set(once.tokens)) == len(once.tokens)
    assert once.finish_reason is FinishReason.END_OF_TEXT  # at the latest when all have been said


def test_repetition_penalty_divides_probabilities(any_model: LanguageModel) -> None:
    engine = any_model.engine()
    (one,) = engine.join("the old", GenerationOptions(repetition_penalty=1e6), seed=0)
    engine.step()
    while not one.tokens:
        engine.step()
    assert one.slot is not None
    said = {t.id for t in locate_text(any_model.vocabulary, "the old")} | set(one.tokens)
    bias = engine._biases[one.slot]
    allowed = bias.isfinite()
    for token in allowed.nonzero().flatten().tolist():
        expected = -13.8155 if token in said and token != any_model.vocabulary.eos else 0.0
        assert float(bias[token]) == pytest.approx(expected, abs=1e-3)


def test_left_continuations_make_no_more_events(any_model: LanguageModel) -> None:
    engine = any_model.engine()
    first, second = engine.join("the", GenerationOptions(min_tokens=50), seed=1, samples=2)
    (waiting,) = engine.join("the dog " * 200, GenerationOptions(), seed=1)
    engine.step()
    engine.leave(first)
    engine.leave(waiting)
    engine.leave(waiting)
    assert engine.active == 1
    assert {event.generation for event in engine.step()} == {second}


def test_wrong_options_do_not_join(any_model: LanguageModel) -> None:
    engine = any_model.engine()
    with pytest.raises(InvalidInputError, match="max_tokens"):
        engine.join("", GenerationOptions(max_tokens=0), seed=0)
    assert engine.active == 0


def test_beam_completion_finds_the_most_probable_text(any_model: LanguageModel) -> None:
    """A beam as wide as the vocabulary over two tokens is exhaustive search."""
    options = CompletionOptions(
        beam_width=64, n_best=5, max_tokens=1, length_normalization=LengthNormalization.NONE
    )
    found = any_model.complete("the old", options)
    log_probs = [one.log_prob for one in found]
    assert log_probs == sorted(log_probs, reverse=True)
    for one in found:
        assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-4)
        if any_model.vocabulary.kind != "subwords":  # these have one way to cut a text
            score = any_model.score([TextToScore(text=one.text, context="the old")])[0]
            assert one.log_prob == pytest.approx(score.log_prob, abs=1e-3)


def test_beam_of_one_is_greedy_sampling(any_model: LanguageModel) -> None:
    (found,) = any_model.complete("the old", CompletionOptions(beam_width=1, max_tokens=20))
    text, one = alone(
        any_model, "the old", 0, max_tokens=20, sampling=SamplingOptions(temperature=0)
    )
    assert found.text == text
    assert len(found.tokens) - len(one.tokens) in (0, 1)  # beam search closes with the end


def test_beam_completion_stops_when_cancelled(any_model: LanguageModel) -> None:
    assert any_model.complete("the", CompletionOptions(), cancelled=lambda: True) == []
    with pytest.raises(InvalidInputError, match="beam_width"):
        any_model.complete("the", CompletionOptions(beam_width=0))
