"""Attention against the papers' equations in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.translation.attention import (
    AdditiveAttention,
    AttentionMemory,
    MultiplicativeAttention,
    attend,
)

Floats = NDArray[np.float64]
QUERY, MEMORY, VALUE = 5, 7, 4


def softmax(scores: Floats) -> Floats:
    exponentials = np.exp(scores - scores.max())
    return np.asarray(exponentials / exponentials.sum())


def double(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


def multiplicative_score(scorer: MultiplicativeAttention, query: Floats, source: Floats) -> float:
    """Luong et al. 2015, eq. 8, "general", over the root of the size."""
    scaled = query / np.sqrt(len(query))
    return float(scaled @ (double(scorer.key_projection.weight) @ source))


def additive_score(scorer: AdditiveAttention, query: Floats, source: Floats) -> float:
    """Bahdanau et al. 2015, appendix A.1.2, with a bias."""
    projected = double(scorer.query_projection.weight) @ query
    projected += double(scorer.key_projection.weight) @ source + double(scorer.key_projection.bias)
    return float(double(scorer.energy) @ np.tanh(projected))


@pytest.mark.parametrize("kind", [MultiplicativeAttention, AdditiveAttention])
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    queries=st.integers(1, 3),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_attention_equals_the_equations(
    kind: type[MultiplicativeAttention] | type[AdditiveAttention],
    lengths: list[int],
    queries: int,
    scale: float,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    scorer = kind(query_size=QUERY, memory_size=MEMORY)
    encoded = scale * torch.randn(len(lengths), max(lengths), MEMORY)
    values = torch.randn(len(lengths), max(lengths), VALUE)
    query = torch.randn(len(lengths), queries, QUERY)
    padding = torch.arange(max(lengths)) >= torch.tensor(lengths).unsqueeze(1)  # (B, S)
    context, weights = attend(scorer, query, AttentionMemory(scorer.keys(encoded), values, padding))
    score = multiplicative_score if kind is MultiplicativeAttention else additive_score
    assert (weights[padding.unsqueeze(1).expand_as(weights)] == 0).all()
    np.testing.assert_allclose(double(weights.sum(-1)), 1, atol=1e-6)
    for b, length in enumerate(lengths):
        for k in range(queries):
            sources = double(encoded[b, :length])
            scores = [score(scorer, double(query[b, k]), source) for source in sources]  # type: ignore[arg-type]
            expected = softmax(np.array(scores))
            np.testing.assert_allclose(double(weights[b, k, :length]), expected, atol=3e-5)
            average = expected @ double(values[b, :length])
            np.testing.assert_allclose(double(context[b, k]), average, atol=1e-4)


def test_padding_has_no_weight_even_where_its_score_is_the_highest() -> None:
    scorer = MultiplicativeAttention(query_size=1, memory_size=1)
    keys = torch.tensor([[[-1e4], [1e4]]])
    memory = AttentionMemory(keys, torch.tensor([[[2.0], [5.0]]]), torch.tensor([[False, True]]))
    context, weights = attend(scorer, torch.ones(1, 1, 1), memory)
    assert weights.tolist() == [[[1.0, 0.0]]]
    assert context.tolist() == [[[2.0]]]
