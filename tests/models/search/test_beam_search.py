"""Beam search against brute force, a plain loop, and a search written out without batching."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.search.random_model import Floats, RecurrentModel

from dragoman_models.arrays import Integers
from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.token_rules import BannedTokens


class Scored(NamedTuple):
    tokens: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    attention: tuple[tuple[float, ...], ...]
    score: float


def banned(options: SearchOptions) -> tuple[int, ...]:
    (rule,) = options.rules
    assert isinstance(rule, BannedTokens)
    return rule.banned


def divisor(options: SearchOptions, length: int) -> float:
    if options.normalization is LengthNormalization.NONE:
        return 1.0
    if options.normalization is LengthNormalization.AVERAGE:
        return float(length)
    return float(((5 + length) / (5 + 1)) ** options.length_penalty)


def score_sequence(
    model: RecurrentModel, sentence: int, tokens: tuple[int, ...], options: SearchOptions
) -> Scored:
    hidden, previous = model.first[sentence], options.bos
    log_probs, attention = [], []
    for token in (*tokens, options.eos):
        hidden, next_log_probs = model.after(sentence, previous, hidden)
        log_probs.append(float(next_log_probs[token]))
        attention.append(tuple((np.exp(hidden) / np.exp(hidden).sum()).tolist()))
        previous = token
    score = sum(log_probs) / divisor(options, len(log_probs))
    return Scored(tokens, tuple(log_probs), tuple(attention), score)


def enumerate_all(
    model: RecurrentModel, sentence: int, max_length: int, options: SearchOptions
) -> list[Scored]:
    vocabulary = len(model.embedding)
    words = [word for word in range(vocabulary) if word not in (*banned(options), options.eos)]
    found = [
        score_sequence(model, sentence, tokens, options)
        for length in range(max_length + 1)
        for tokens in itertools.product(words, repeat=length)
    ]
    return sorted(found, key=lambda one: one.score, reverse=True)


def search_one_without_stopping(
    model: RecurrentModel, sentence: int, max_length: int, options: SearchOptions
) -> list[Scored]:
    """Textbook beam search of one sentence, which goes on until every hypothesis has ended."""
    live: list[tuple[float, tuple[int, ...], Floats]] = [(0.0, (), model.first[sentence])]
    ended: list[tuple[int, ...]] = []
    for length in range(max_length + 1):
        grown = []
        for log_prob, tokens, hidden in live:
            previous = tokens[-1] if tokens else options.bos
            next_hidden, log_probs = model.after(sentence, previous, hidden)
            for token in set(range(len(log_probs))) - set(banned(options)):
                if token == options.eos or length < max_length:
                    grown.append((log_prob + log_probs[token], (*tokens, token), next_hidden))
        grown = sorted(grown, key=lambda one: one[0], reverse=True)[: options.beam_width]
        ended += [tokens[:-1] for _, tokens, _ in grown if tokens[-1] == options.eos]
        live = [one for one in grown if one[1][-1] != options.eos]
    found = [score_sequence(model, sentence, tokens, options) for tokens in ended]
    return sorted(found, key=lambda one: one.score, reverse=True)


def check_equal(found: Sequence[FoundSequence], expected: Sequence[Scored]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    for one, reference in zip(found, expected, strict=True):
        assert one.score == pytest.approx(reference.score, abs=1e-9)
        assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-9)
        assert one.token_log_probs == pytest.approx(reference.token_log_probs, abs=1e-9)
        assert one.attention is not None
        np.testing.assert_allclose(one.attention, reference.attention, atol=1e-9)


class Case(NamedTuple):
    model: RecurrentModel
    max_lengths: list[int]
    options: SearchOptions

    def search(
        self, *, cancelled: Callable[[int], bool] | None = None
    ) -> list[list[FoundSequence]]:
        self.model.rows.clear()
        return beam_search(
            self.model,
            self.model.state(),
            max_lengths=self.max_lengths,
            options=self.options,
            cancelled=cancelled,
        )


@st.composite
def cases(
    draw: st.DrawFn, *, beam_widths: st.SearchStrategy[int], longest: int, words: int
) -> Case:
    """A random model over a small vocabulary with any special tokens, and any options."""
    vocabulary = draw(st.integers(2, words))
    eos, bos = draw(st.integers(0, vocabulary - 1)), draw(st.integers(0, vocabulary - 1))
    others = [word for word in range(vocabulary) if word != eos]
    some = st.lists(st.sampled_from(others), unique=True, max_size=2)
    max_lengths = draw(st.lists(st.integers(0, longest), min_size=1, max_size=3))
    options = SearchOptions(
        beam_width=draw(beam_widths),
        bos=bos,
        eos=eos,
        rules=(BannedTokens(banned=tuple(draw(some))),),
        n_best=draw(st.integers(1, 4)),
        normalization=draw(st.sampled_from(LengthNormalization)),
        length_penalty=draw(st.floats(0, 2)),
        keep_attention=True,
    )
    seed = draw(st.integers(0, 2**32 - 1))
    model = RecurrentModel(
        seed,
        vocabulary=vocabulary,
        sentences=len(max_lengths),
        sharpness=draw(st.sampled_from([1.0, 4.0, 16.0])),
    )
    return Case(model, max_lengths, options)


@given(cases(beam_widths=st.just(4**4), longest=3, words=4))
def test_a_beam_as_wide_as_the_space_equals_brute_force(case: Case) -> None:
    n_best = case.options.n_best
    for sentence, found in enumerate(case.search()):
        max_length = case.max_lengths[sentence]
        expected = enumerate_all(case.model, sentence, max_length, case.options)
        check_equal(found[:n_best], expected[:n_best])
        assert [one.truncated for one in found] == [len(one.tokens) == max_length for one in found]


@given(cases(beam_widths=st.integers(1, 9), longest=7, words=6))
def test_stopping_early_never_changes_the_n_best(case: Case) -> None:
    n_best = case.options.n_best
    for sentence, found in enumerate(case.search()):
        expected = search_one_without_stopping(
            case.model, sentence, case.max_lengths[sentence], case.options
        )
        check_equal(found[:n_best], expected[:n_best])
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)
        assert len({one.tokens for one in found}) == len(found)


@given(cases(beam_widths=st.just(1), longest=9, words=6))
def test_width_one_is_greedy(case: Case) -> None:
    options = case.options
    for sentence, found in enumerate(case.search()):
        tokens: list[int] = []
        hidden, previous = case.model.first[sentence], options.bos
        while len(tokens) < case.max_lengths[sentence]:
            hidden, log_probs = case.model.after(sentence, previous, hidden)
            log_probs[list(banned(options))] = -np.inf
            previous = int(log_probs.argmax())
            if previous == options.eos:
                break
            tokens.append(previous)
        check_equal(found, [score_sequence(case.model, sentence, tuple(tokens), options)])


@given(cases(beam_widths=st.integers(1, 6), longest=6, words=5), st.data())
def test_a_cancelled_sentence_leaves_and_changes_no_other(case: Case, data: st.DataObject) -> None:
    """Whichever sentences are cancelled, and at whichever step."""
    alone = case.search()
    rows = list(case.model.rows)
    count = len(case.max_lengths)
    patience = data.draw(st.lists(st.integers(1, 8), min_size=count, max_size=count))
    asked = [0] * count

    def cancelled(sentence: int) -> bool:
        asked[sentence] += 1
        return asked[sentence] >= patience[sentence]

    together = case.search(cancelled=cancelled)
    for sentence, found in enumerate(together):
        assert asked[sentence] <= patience[sentence]  # once it has left, it is not asked again
        if asked[sentence] == patience[sentence]:
            assert found == []
        else:
            expected = [one.tokens for one in alone[sentence]]
            assert [one.tokens for one in found] == expected
    assert len(case.model.rows) <= min(len(rows), max(patience))
    assert all(fewer <= more for fewer, more in zip(case.model.rows, rows, strict=False))


class LateBloomer:
    """Ends at once (0) with probability .6, or says 1 and is certain of all that follows."""

    def step(self, previous: Integers, state: Integers) -> tuple[Any, Integers, None]:
        start, certain = [0.6, 0.4, 1e-9], [1e-9, 1.0, 1e-9]
        probabilities = [start if step == 0 else certain for step in state.tolist()]
        return np.log(np.array(probabilities, np.float32)), state + 1, None

    def select(self, state: Integers, sentences: Integers | None, rows: Integers) -> Integers:
        return state[rows]


@pytest.mark.parametrize(
    ("normalization", "alpha", "length"),
    [
        (LengthNormalization.NONE, 1.0, 0),  # .6 against .4 and a forced, impossible eos
        (LengthNormalization.AVERAGE, 1.0, 60),  # log .6 against (log .4 + log 1e-9) / 61
        (LengthNormalization.WU, 0.0, 0),
        (LengthNormalization.WU, 2.0, 60),
    ],
)
def test_search_waits_for_what_length_normalization_may_yet_favor(
    normalization: LengthNormalization, alpha: float, length: int
) -> None:
    options = SearchOptions(
        beam_width=2, bos=2, eos=0, normalization=normalization, length_penalty=alpha
    )
    state = np.zeros(1, np.int64)
    ((best, *_),) = beam_search(LateBloomer(), state, max_lengths=[60], options=options)
    assert best.tokens == (1,) * length


class Countdown:
    """Sentence i says token 1 ``lengths[i]`` times and then eos (0), as good as certainly."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.array(lengths, np.int64)
        self.rows: list[int] = []

    def step(self, previous: Integers, state: Integers) -> tuple[Any, Integers, None]:
        self.rows.append(len(previous))
        logits = np.zeros((len(previous), 4), np.float32)
        logits[np.arange(len(previous)), (state > 0).astype(np.int64)] = 50.0
        return logits, state - 1, None

    def select(self, state: Integers, sentences: Integers | None, rows: Integers) -> Integers:
        return state[rows]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(1, 4))
def test_finished_sentences_leave_the_batch(lengths: list[int], beam_width: int) -> None:
    """No step is spent on a sentence whose best answer is certain, however long others take."""
    model = Countdown(lengths)
    options = SearchOptions(beam_width=beam_width, bos=2, eos=0)
    found = beam_search(model, model.lengths, max_lengths=[100] * len(lengths), options=options)
    assert [one[0].tokens for one in found] == [(1,) * length for length in lengths]
    unfinished = [sum(length >= step for length in lengths) for step in range(max(lengths) + 1)]
    expected = [count * (beam_width if step else 1) for step, count in enumerate(unfinished)]
    assert model.rows == expected


def test_no_step_is_taken_for_no_sentences() -> None:
    model = Countdown([])
    options = SearchOptions(beam_width=3, bos=2, eos=0)
    assert beam_search(model, model.lengths, max_lengths=[], options=options) == []
    assert model.rows == []


def test_all_cancelled_stops_at_once() -> None:
    model = Countdown([50, 50, 50])
    options = SearchOptions(beam_width=2, bos=2, eos=0)
    found = beam_search(
        model, model.lengths, max_lengths=[99] * 3, options=options, cancelled=lambda _: True
    )
    assert found == [[], [], []]
    assert len(model.rows) == 1
