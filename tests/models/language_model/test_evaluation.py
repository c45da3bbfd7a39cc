"""Perplexity over carried state, the cache and dynamic evaluation, against plain definitions."""

import itertools
import math
from collections.abc import Sequence

import pytest
import torch

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.corpus import EncodedText, columns_of, encode_corpus
from dragoman_models.language_model.dynamic_evaluation import (
    DynamicOptions,
    evaluate_dynamically,
    measure_gradients,
)
from dragoman_models.language_model.evaluation import evaluate, mean_loss, text_log_probs
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.neural_cache import (
    CacheOptions,
    evaluate_with_cache,
    tune_cache,
)
from dragoman_models.language_model.text_vocabulary import count_vocabulary


@pytest.fixture(scope="module")
def text(lines: Sequence[str]) -> EncodedText:
    vocabulary = count_vocabulary(lines, "words", most=50)  # some words are unknown
    return encode_corpus(lines[:40], vocabulary)


@pytest.fixture(scope="module")
def network() -> LanguageModelNetwork:
    torch.manual_seed(0)
    net = LanguageModelNetwork(
        NetworkConfig(vocabulary_size=50, embedding_size=8, hidden_size=9, cell="gru")
    )
    torch.nn.init.normal_(net.embedding)
    return net


@torch.no_grad()
def by_steps(network: LanguageModelNetwork, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(hidden (N, E), log-probabilities (N, V)), one step of the readable cells at a time."""
    state, hiddens = network.initial_state(1), []
    for token in tokens[:-1]:
        hidden, state = network.step(token.view(1), state)
        hiddens.append(hidden)
    hidden = torch.cat(hiddens)
    return hidden, network.output.log_probs(hidden)


def test_figures_follow_from_each_tokens_log_prob(
    network: LanguageModelNetwork, text: EncodedText
) -> None:
    _, log_probs = by_steps(network, text.tokens)
    expected = log_probs.gather(1, text.tokens[1:, None]).squeeze(1)
    torch.testing.assert_close(text_log_probs(network, text.tokens), expected)
    figures = evaluate(network, text, unknown=0)
    assert figures.nats == pytest.approx(-float(expected.sum()), rel=1e-5)
    assert figures.perplexity == pytest.approx(math.exp(figures.nats / len(expected)))
    assert figures.word_perplexity == pytest.approx(figures.perplexity)  # words are the tokens
    assert figures.bits_per_character == pytest.approx(figures.nats / text.characters / math.log(2))
    assert figures.unknown_tokens == int((text.tokens == 0).sum()) > 0


def test_columns_carry_their_state_from_segment_to_segment(network: LanguageModelNetwork) -> None:
    tokens = torch.randint(50, (1300,), generator=torch.Generator().manual_seed(1))
    inputs, targets = columns_of(tokens, 2)  # 649 steps: three segments
    expected = 0.0
    for column in range(2):
        sequence = torch.cat([inputs[:1, column], targets[:, column]])
        expected -= float(text_log_probs(network, sequence).sum())
    assert mean_loss(network, tokens, columns=2) == pytest.approx(expected / 1298, rel=1e-5)


def test_cache_equals_its_definition(network: LanguageModelNetwork, text: EncodedText) -> None:
    options = CacheOptions(window=30, flatness=0.4, share=0.3)
    hidden, log_probs = (part.double() for part in by_steps(network, text.tokens))
    targets, total = text.tokens[1:].tolist(), 0.0
    for t, target in enumerate(targets):
        past = range(max(0, t - 30), t)
        weights = {i: math.exp(0.4 * float(hidden[t] @ hidden[i])) for i in past}
        p = math.exp(float(log_probs[t, target]))
        if weights:
            hit = sum(w for i, w in weights.items() if targets[i] == target)
            p = 0.7 * p + 0.3 * hit / sum(weights.values())
        total -= math.log(p)
    assert evaluate_with_cache(network, text, options).nats == pytest.approx(total, rel=1e-5)


def test_tuning_chooses_the_cache_with_the_best_figures(
    network: LanguageModelNetwork, text: EncodedText
) -> None:
    windows, flatnesses, shares = (5, 40), (0.1, 0.4), (0.05, 0.3, 0.9)
    candidates = [
        CacheOptions(window=window, flatness=flatness, share=share)
        for window, flatness, share in itertools.product(windows, flatnesses, shares)
    ]
    best = min(candidates, key=lambda one: evaluate_with_cache(network, text, one).nats)
    found = tune_cache(network, text, windows=windows, flatnesses=flatnesses, shares=shares)
    assert found == best


def test_dynamic_evaluation_that_does_not_learn_is_plain_evaluation(
    network: LanguageModelNetwork, text: EncodedText
) -> None:
    sizes = measure_gradients(network, text.tokens, columns=4, segment=10)
    still = DynamicOptions(learning_rate=0.0)
    found = evaluate_dynamically(network, text, sizes, still)
    assert found.nats == pytest.approx(evaluate(network, text).nats, rel=1e-5)


def test_dynamic_evaluation_learns_a_text_that_repeats_and_leaves_the_network(
    network: LanguageModelNetwork, text: EncodedText
) -> None:
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    sizes = measure_gradients(network, text.tokens, columns=4, segment=10)
    found = evaluate_dynamically(
        network, text, sizes, DynamicOptions(segment=10, learning_rate=0.03)
    )
    assert found.nats < 0.95 * evaluate(network, text).nats
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])


def test_first_dynamic_step_follows_the_rms_rule(network: LanguageModelNetwork) -> None:
    tokens = torch.randint(50, (11,), generator=torch.Generator().manual_seed(2))
    text = EncodedText(tokens=tokens, words=10, characters=10)
    options = DynamicOptions(segment=5, learning_rate=0.01)
    sizes = measure_gradients(network, tokens, columns=1, segment=5)
    outputs = network(tokens[:5].unsqueeze(1), network.initial_state(1))
    log_probs = network.output.log_probs(outputs.raw.squeeze(1))
    loss = -log_probs.gather(1, tokens[1:6, None]).mean()
    names, weights = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    moved = LanguageModelNetwork(network.config)
    moved.load_state_dict(network.state_dict())
    with torch.no_grad():
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is not None:  # at the first step the decay pulls by lambda of the step
                root = sizes.root_mean_squares[name]
                mean = torch.cat([r.flatten() for r in sizes.root_mean_squares.values()]).mean()
                kept = 1 - (options.decay * root / mean).clamp_max(1)
                step = options.learning_rate * gradient / (root + options.epsilon)
                dict(moved.named_parameters())[name].sub_(step * kept)
        state = network(tokens[:5].unsqueeze(1), network.initial_state(1)).state
        after = moved(tokens[5:10].unsqueeze(1), state)
        rest = moved.output.token_log_probs(after.raw.squeeze(1), tokens[6:])
    expected = float(loss.detach()) * 5 - float(rest.sum())
    found = evaluate_dynamically(network, text, sizes, options)
    assert found.nats == pytest.approx(expected, rel=1e-4)
