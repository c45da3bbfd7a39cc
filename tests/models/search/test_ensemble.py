"""An ensemble is the mean of its members' probabilities, in every search."""

import itertools

import numpy as np
import pytest
from tests.models.search.random_model import RecurrentModel

from dragoman_models.search.beam_search import SearchOptions, beam_search
from dragoman_models.search.ensemble import EnsembleModel
from dragoman_models.search.length_normalization import LengthNormalization

V, BOS, EOS, LONGEST = 4, 0, 1, 3


def brute_force(models: list[RecurrentModel], sentence: int) -> dict[tuple[int, ...], float]:
    """The log-probability of each sequence: token by token the mean in numpy, in float64."""
    found = {}
    others = [token for token in range(V) if token != EOS]
    for length in range(LONGEST + 1):
        for tokens in itertools.product(others, repeat=length):
            hidden = [model.first[sentence] for model in models]
            total, previous = 0.0, BOS
            for token in (*tokens, EOS):
                chances = []
                for i, model in enumerate(models):
                    hidden[i], log_probs = model.after(sentence, previous, hidden[i])
                    chances.append(np.exp(log_probs[token]))
                total, previous = total + np.log(np.mean(chances)), token
            found[tokens] = float(total)
    return found


@pytest.mark.parametrize("seeds", [(1, 2), (3, 4, 5)])
def test_the_best_of_an_ensemble_are_those_of_brute_force(seeds: tuple[int, ...]) -> None:
    models = [RecurrentModel(seed, vocabulary=V, sentences=3) for seed in seeds]
    options = SearchOptions(
        beam_width=V**LONGEST, bos=BOS, eos=EOS, n_best=10,
        normalization=LengthNormalization.AVERAGE,
    )  # fmt: skip
    state = tuple(model.state() for model in models)
    found = beam_search(EnsembleModel(models), state, max_lengths=[LONGEST] * 3, options=options)
    for sentence, sequences in enumerate(found):
        expected = brute_force(models, sentence)
        best = sorted(expected, key=lambda t: expected[t] / (len(t) + 1), reverse=True)[:10]
        assert [one.tokens for one in sequences[:10]] == best
        for one in sequences:
            assert one.log_prob == pytest.approx(expected[one.tokens])


def test_a_model_with_itself_is_the_model() -> None:
    model = RecurrentModel(9, vocabulary=V, sentences=2)
    options = SearchOptions(beam_width=3, bos=BOS, eos=EOS, n_best=3, keep_attention=True)
    alone = beam_search(model, model.state(), max_lengths=[5, 5], options=options)
    twice = beam_search(
        EnsembleModel([model, model]), (model.state(), model.state()),
        max_lengths=[5, 5], options=options,
    )  # fmt: skip
    for one, other in zip(itertools.chain(*alone), itertools.chain(*twice), strict=True):
        assert one.tokens == other.tokens
        assert one.token_log_probs == pytest.approx(other.token_log_probs)
        assert one.attention is not None
        assert other.attention is not None
        np.testing.assert_allclose(one.attention, other.attention)
